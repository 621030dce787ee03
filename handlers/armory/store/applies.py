"""What each of its own events writes to the armory's tables."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.armory.events import (
    HandoverCorrected,
    ReservationReleased,
    WeaponAdded,
    WeaponIssued,
    WeaponReserved,
    WeaponReturned,
    WeaponTypeAdded,
    WeaponTypeStocked,
)
from handlers.armory.model.chain import BEGINNING, Entry, Handed, entry_of, linked
from handlers.armory.store.ammunition import forget_adjustment, move_ammunition
from handlers.armory.store.rounds import count_rounds


async def weapon_type_added(connection: Connection, event: WeaponTypeAdded) -> None:
    await connection.execute(
        """
        INSERT INTO weapon_type (weapon_type, weapon_class, calibre, title, units, service_minutes, away)
        VALUES ($1, $2, $3, $4, 0, 60, '{}')
        """,
        event.weapon_type,
        event.weapon_class,
        event.calibre,
        event.title,
    )


async def weapon_added(connection: Connection, event: WeaponAdded) -> None:
    await connection.execute(
        """
        INSERT INTO weapon (weapon, weapon_type, serial, rounds_fired, rounds_since_service, barrel, barrel_rounds,
                            overdue, service_from, service_due_at, maker, model, condition, owner, location)
        VALUES ($1, $2, $3, 0, 0, 1, 0, false, $4, $5, $6, $7, $8, $9, $10)
        """,
        event.weapon,
        event.weapon_type,
        event.serial,
        event.added_at,
        event.service_due_at,
        event.maker,
        event.model,
        event.condition,
        event.owner,
        event.location,
    )


async def weapon_type_stocked(connection: Connection, event: WeaponTypeStocked) -> None:
    await connection.execute(
        """
        UPDATE weapon_type SET units = $2, away = $3 WHERE weapon_type = $1
        """,
        event.weapon_type,
        event.units,
        [(one.starts_at, one.ends_at) for one in event.away],
    )


async def weapon_reserved(connection: Connection, event: WeaponReserved) -> None:
    terms = event.terms
    await connection.execute(
        """
        INSERT INTO reservation (booking, person, range, weapon_type, during, released)
        VALUES ($1, $2, $3, $4, tstzrange($5, $6), false)
        """,
        event.booking,
        terms.person,
        terms.range,
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
    entry = await enter(connection, event)
    await open_loan(connection, event, entry)
    await lengthen_reservation(connection, event)
    await move_ammunition(connection, event.weapon, -event.rounds)


async def weapon_returned(connection: Connection, event: WeaponReturned) -> None:
    await enter(connection, event)
    await close_loan(connection, event)
    await move_ammunition(connection, event.weapon, event.rounds_returned)
    await count_rounds(connection, event.weapon, event.rounds_fired)


async def handover_corrected(connection: Connection, event: HandoverCorrected) -> None:
    await enter(connection, event)
    if event.kind == "return":
        await end_loan(connection, event)
        await move_ammunition(connection, event.weapon, event.rounds)
    else:
        await reopen_loan(connection, event)
        await move_ammunition(connection, event.weapon, -event.rounds)
        await count_rounds(connection, event.weapon, -event.rounds_not_fired)
        await forget_adjustment(connection, event.booking, event.weapon)


async def end_loan(connection: Connection, event: HandoverCorrected) -> None:
    """The issue was none: everything is back, and nothing was fired."""
    await connection.execute(
        """
        UPDATE loan
        SET returned_at = $2, taken_by = $3, rounds_returned = rounds_issued, rounds_fired = 0, rounds_written_off = 0
        WHERE weapon = $1 AND returned_at IS NULL
        """,
        event.weapon,
        event.corrected_at,
        event.corrected_by,
    )


async def reopen_loan(connection: Connection, event: HandoverCorrected) -> None:
    """The return was none: the loan that the issue before it began goes on."""
    await connection.execute(
        """
        UPDATE loan
        SET returned_at = NULL, taken_by = NULL, rounds_returned = NULL, rounds_fired = NULL, rounds_written_off = NULL
        WHERE weapon = $1 AND entry = (SELECT max(l.entry) FROM loan AS l WHERE l.weapon = $1)
        """,
        event.weapon,
    )


async def enter(connection: Connection, event: Handed) -> int:
    """Adds an entry to the weapon's custody book, chained to the last one, and returns its number."""
    last, previous = await last_link(connection, event.weapon)
    entry = entry_of(event, last + 1)
    await put_entry(connection, entry, linked(previous, entry))
    return entry.entry


async def last_link(connection: Connection, weapon: UUID) -> tuple[int, bytes]:
    row = await connection.fetchrow(
        """
        SELECT entry, hash FROM handover WHERE weapon = $1 ORDER BY entry DESC LIMIT 1
        """,
        weapon,
    )
    return (0, BEGINNING) if row is None else (row["entry"], row["hash"])


async def put_entry(connection: Connection, entry: Entry, hash_: bytes) -> None:
    await connection.execute(
        """
        INSERT INTO handover (weapon, entry, kind, booking, from_person, to_person, rounds, at, corrects, reason, hash,
                              lot)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        entry.weapon,
        entry.entry,
        entry.kind,
        entry.booking,
        entry.from_person,
        entry.to_person,
        entry.rounds,
        entry.at,
        entry.corrects,
        entry.reason,
        hash_,
        entry.lot,
    )


async def open_loan(connection: Connection, event: WeaponIssued, entry: int) -> None:
    await connection.execute(
        """
        INSERT INTO loan (weapon, entry, booking, holder, issued_by, issued_at, rounds_issued, lot)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        event.weapon,
        entry,
        event.booking,
        event.handed_to,
        event.handed_by,
        event.issued_at,
        event.rounds,
        event.lot,
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
        UPDATE loan
        SET returned_at = $2, taken_by = $3, rounds_returned = $4, rounds_fired = $5, rounds_written_off = $6
        WHERE weapon = $1 AND returned_at IS NULL
        """,
        event.weapon,
        event.returned_at,
        event.taken_by,
        event.rounds_returned,
        event.rounds_fired,
        event.rounds_misfired,
    )
