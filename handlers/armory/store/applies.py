"""What each of its own events writes to the armory's tables."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.armory.events import (
    AmmunitionStocked,
    ReservationReleased,
    WeaponAdded,
    WeaponIssued,
    WeaponReserved,
    WeaponReturned,
    WeaponTypeAdded,
    WeaponTypeStocked,
)


async def weapon_type_added(connection: Connection, event: WeaponTypeAdded) -> None:
    await connection.execute(
        """
        INSERT INTO weapon_type (weapon_type, weapon_class, calibre, title, units) VALUES ($1, $2, $3, $4, 0)
        """,
        event.weapon_type,
        event.weapon_class,
        event.calibre,
        event.title,
    )


async def weapon_added(connection: Connection, event: WeaponAdded) -> None:
    await connection.execute(
        """
        INSERT INTO weapon (weapon, weapon_type, serial) VALUES ($1, $2, $3)
        """,
        event.weapon,
        event.weapon_type,
        event.serial,
    )


async def weapon_type_stocked(connection: Connection, event: WeaponTypeStocked) -> None:
    await connection.execute(
        """
        UPDATE weapon_type SET units = $2 WHERE weapon_type = $1
        """,
        event.weapon_type,
        event.units,
    )


async def ammunition_stocked(connection: Connection, event: AmmunitionStocked) -> None:
    await connection.execute(
        """
        INSERT INTO ammunition AS a (calibre, rounds) VALUES ($1, $2)
        ON CONFLICT (calibre) DO UPDATE SET rounds = a.rounds + excluded.rounds
        """,
        event.calibre,
        event.rounds,
    )


async def weapon_reserved(connection: Connection, event: WeaponReserved) -> None:
    terms = event.terms
    await connection.execute(
        """
        INSERT INTO reservation (booking, person, weapon_type, during, released)
        VALUES ($1, $2, $3, tstzrange($4, $5), false)
        """,
        event.booking,
        terms.person,
        terms.weapon_type,
        terms.starts_at,
        terms.ends_at,
    )


async def reservation_released(connection: Connection, event: ReservationReleased) -> None:
    await connection.execute(
        """
        UPDATE reservation SET released = true WHERE booking = $1
        """,
        event.booking,
    )


async def weapon_issued(connection: Connection, event: WeaponIssued) -> None:
    entry = await enter_issue(connection, event)
    await open_loan(connection, event, entry)
    await lengthen_reservation(connection, event)
    await move_ammunition(connection, event.weapon, -event.rounds)


async def weapon_returned(connection: Connection, event: WeaponReturned) -> None:
    await enter_return(connection, event)
    await close_loan(connection, event)
    await move_ammunition(connection, event.weapon, event.rounds_returned)


async def enter_issue(connection: Connection, event: WeaponIssued) -> int:
    """Adds an issue to the custody book and returns its number."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        INSERT INTO handover (weapon, entry, kind, booking, from_person, to_person, rounds, at)
        SELECT $1, coalesce(max(entry), 0) + 1, 'issue', $2, $3, $4, $5, $6 FROM handover WHERE weapon = $1
        RETURNING entry
        """,
        event.weapon,
        event.booking,
        event.handed_by,
        event.handed_to,
        event.rounds,
        event.issued_at,
    )


async def enter_return(connection: Connection, event: WeaponReturned) -> None:
    """Adds a return to the custody book."""
    await connection.execute(
        """
        INSERT INTO handover (weapon, entry, kind, booking, from_person, to_person, rounds, at)
        SELECT $1, coalesce(max(entry), 0) + 1, 'return', $2, $3, $4, $5, $6 FROM handover WHERE weapon = $1
        """,
        event.weapon,
        event.booking,
        event.returned_by,
        event.taken_by,
        event.rounds_returned,
        event.returned_at,
    )


async def open_loan(connection: Connection, event: WeaponIssued, entry: int) -> None:
    await connection.execute(
        """
        INSERT INTO loan (weapon, entry, booking, holder, issued_by, issued_at, rounds_issued)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.weapon,
        entry,
        event.booking,
        event.handed_to,
        event.handed_by,
        event.issued_at,
        event.rounds,
    )


async def lengthen_reservation(connection: Connection, event: WeaponIssued) -> None:
    """A weapon that goes out early is taken from then on."""
    await connection.execute(
        """
        UPDATE reservation SET during = tstzrange(least(lower(during), $2), upper(during)) WHERE booking = $1
        """,
        event.booking,
        event.issued_at,
    )


async def close_loan(connection: Connection, event: WeaponReturned) -> None:
    await connection.execute(
        """
        UPDATE loan SET returned_at = $2, taken_by = $3, rounds_returned = $4, rounds_fired = $5
        WHERE weapon = $1 AND returned_at IS NULL
        """,
        event.weapon,
        event.returned_at,
        event.taken_by,
        event.rounds_returned,
        event.rounds_fired,
    )


async def move_ammunition(connection: Connection, weapon: UUID, rounds: int) -> None:
    """Takes cartridges of a weapon's calibre out of stock (negative) or puts them back."""
    await connection.execute(
        """
        UPDATE ammunition SET rounds = rounds + $2
        WHERE calibre = (
            SELECT t.calibre FROM weapon_type AS t JOIN weapon AS w USING (weapon_type) WHERE w.weapon = $1)
        """,
        weapon,
        rounds,
    )
