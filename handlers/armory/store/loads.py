"""What is loaded from the armory's tables for a decision.

Rows are locked in one order: weapon type, weapon, lots of a calibre.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from bus.fields import EARLIEST
from handlers.armory.commands import (
    AddWeapon,
    AddWeaponType,
    IssueWeapon,
    ReturnWeapon,
)
from handlers.armory.model.ammunition import Stocked
from handlers.armory.model.custody import Counter, Loan
from handlers.armory.model.fitness import Weapon
from handlers.armory.model.register import Register, WeaponType
from handlers.armory.model.reservations import Demand, Reservation, Taken
from handlers.armory.model.times import Span
from handlers.armory.reactions import Closing
from handlers.auth.events import LicenceValidated


async def load_weapon_type(connection: Connection, asked: AddWeaponType) -> WeaponType | None:
    return await lock_weapon_type(connection, asked.weapon_type)


async def load_register(connection: Connection, asked: AddWeapon) -> Register:
    kind = await lock_weapon_type(connection, asked.weapon_type)
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM weapon WHERE weapon = $1) AS weapon_known,
               EXISTS (SELECT FROM weapon WHERE weapon_type = $2 AND serial = $3) AS serial_known
        """,
        asked.weapon,
        asked.weapon_type,
        asked.serial,
    )
    assert row is not None
    return Register(kind, row["weapon_known"], row["serial_known"])


async def load_demand(connection: Connection, validated: LicenceValidated) -> Demand:
    """Locks the type's row before it counts what is kept."""
    terms = validated.terms
    if terms.weapon_type is None or not await is_open(connection, validated.booking):
        return Demand(open=False, weapon_type=None, taken=Taken())
    kind = await lock_weapon_type(connection, terms.weapon_type)
    during = Span(terms.starts_at, terms.ends_at)
    taken = await load_taken(connection, terms.weapon_type, during, validated.booking, terms.replaces)
    classes = await connection.fetchval(
        """
        SELECT weapon_classes FROM known_lane WHERE lane = $1
        """,
        terms.lane,
    )
    return Demand(
        open=True,
        weapon_type=kind,
        taken=taken,
        lane_classes=None if classes is None else frozenset(classes),
    )


async def load_reservation(connection: Connection, message: Closing | IssueWeapon) -> Reservation | None:
    """The reservation of a booking, as long as it is kept."""
    row = await connection.fetchrow(
        """
        SELECT person, weapon_type, lower(during) AS starts_at, upper(during) AS ends_at
        FROM reservation WHERE booking = $1 AND NOT released
        """,
        message.booking,
    )
    if row is None:
        return None
    return Reservation(row["person"], row["weapon_type"], Span(row["starts_at"], row["ends_at"]))


async def load_counter(connection: Connection, asked: IssueWeapon) -> Counter:
    weapon = await lock_weapon(connection, asked.weapon)
    stock = [] if weapon is None else await lock_stock(connection, weapon.calibre)
    reservation = await load_reservation(connection, asked)
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM loan WHERE weapon = $1 AND returned_at IS NULL) AS out,
               EXISTS (SELECT FROM loan WHERE booking = $2 AND returned_at IS NULL) AS booking_holds_one,
               EXISTS (SELECT FROM known_booking WHERE booking = $2 AND checked_in_at IS NOT NULL) AS checked_in
        """,
        asked.weapon,
        asked.booking,
    )
    assert row is not None
    return Counter(
        weapon=weapon,
        out=row["out"],
        reservation=reservation,
        checked_in=row["checked_in"],
        booking_holds_one=row["booking_holds_one"],
        stock=stock,
        taken=await load_taken_before(connection, asked.booking, weapon, reservation),
        entitled=await load_entitled(connection, weapon, reservation),
        another_in=await another_is_in(connection, asked, weapon, reservation),
    )


async def load_entitled(connection: Connection, weapon: Weapon | None, reservation: Reservation | None) -> list[Span]:
    """When the shooter of a reservation may shoot weapons of a class."""
    if weapon is None or reservation is None:
        return []
    rows = await connection.fetch(
        """
        SELECT lower(during) AS starts_at, upper(during) AS ends_at
        FROM known_entitlement WHERE person = $1 AND weapon_class = $2
        """,
        reservation.person,
        weapon.kind.weapon_class,
    )
    return [Span(*row) for row in rows]


async def another_is_in(
    connection: Connection, asked: IssueWeapon, weapon: Weapon | None, reservation: Reservation | None
) -> bool:
    """Whether another unit of the type is fit and there, with no service planned before the reservation ends."""
    if weapon is None or reservation is None or weapon.planned is None:
        return False
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT EXISTS (
            SELECT FROM weapon AS w JOIN weapon_type AS t USING (weapon_type)
            WHERE t.weapon_type = $1 AND w.weapon <> $2 AND w.gone IS NULL AND w.quarantine IS NULL AND NOT w.overdue
              AND (w.rounds_since_service >= t.service_after_rounds) IS NOT TRUE
              AND (lower(w.planned) < $3) IS NOT TRUE
              AND NOT EXISTS (SELECT FROM loan AS l WHERE l.weapon = w.weapon AND l.returned_at IS NULL))
        """,
        weapon.kind.weapon_type,
        asked.weapon,
        reservation.during.ends_at,
    )


async def load_loan(connection: Connection, asked: ReturnWeapon) -> Loan | None:
    weapon = await lock_weapon(connection, asked.weapon)
    if weapon is None:
        return None
    row = await connection.fetchrow(
        """
        SELECT booking, holder, rounds_issued, issued_at
        FROM loan WHERE weapon = $1 AND returned_at IS NULL
        FOR UPDATE
        """,
        asked.weapon,
    )
    if row is None:
        return None
    return Loan(row["booking"], row["holder"], row["rounds_issued"], row["issued_at"], weapon)


async def lock_weapon_type(connection: Connection, weapon_type: str) -> WeaponType | None:
    row = await connection.fetchrow(
        """
        SELECT weapon_type, weapon_class, title, units, away, service_after_days, service_minutes
        FROM weapon_type WHERE weapon_type = $1
        FOR UPDATE
        """,
        weapon_type,
    )
    return None if row is None else type_of(row)


async def lock_type_of(connection: Connection, weapon: UUID) -> WeaponType | None:
    """Locks the type of a weapon; which type that is never changes."""
    row = await connection.fetchrow(
        """
        SELECT weapon_type, weapon_class, title, units, away, service_after_days, service_minutes
        FROM weapon_type
        WHERE weapon_type = (SELECT w.weapon_type FROM weapon AS w WHERE w.weapon = $1)
        FOR UPDATE
        """,
        weapon,
    )
    return None if row is None else type_of(row)


async def lock_weapon(connection: Connection, weapon: UUID) -> Weapon | None:
    """Locks a weapon, and its type before."""
    kind = await lock_type_of(connection, weapon)
    if kind is None:
        return None
    row = await connection.fetchrow(
        """
        SELECT t.calibre, w.quarantine, w.rounds_fired, w.rounds_since_service, t.service_after_rounds,
               w.service_from, w.service_due_at, w.overdue, w.planned, w.barrel, w.barrel_rounds, w.gone
        FROM weapon AS w JOIN weapon_type AS t USING (weapon_type)
        WHERE w.weapon = $1
        FOR UPDATE OF w
        """,
        weapon,
    )
    return None if row is None else weapon_of(kind, row)


def weapon_of(kind: WeaponType, row: Iterable[Any]) -> Weapon:
    calibre, quarantine, fired, since_service, limit, since, due_at, overdue, planned, barrel, barrel_rounds, gone = row
    return Weapon(
        kind=kind,
        calibre=calibre,
        quarantine=quarantine,
        rounds_fired=fired,
        rounds_since_service=since_service,
        service_after_rounds=limit,
        service_from=since,
        service_due_at=due_at,
        overdue=overdue,
        planned=None if planned is None else Span(planned.lower, planned.upper),
        barrel=barrel,
        barrel_rounds=barrel_rounds,
        gone=gone,
    )


def type_of(row: Record) -> WeaponType:
    away = tuple(sorted(Span(one.lower, one.upper) for one in row["away"]))
    return WeaponType(**{**row, "away": away})


async def lock_stock(connection: Connection, calibre: str) -> list[Stocked]:
    rows = await connection.fetch(
        """
        SELECT lot, rounds, expires_at, recalled FROM lot WHERE calibre = $1
        ORDER BY lot
        FOR UPDATE
        """,
        calibre,
    )
    return [Stocked(*row) for row in rows]


async def is_open(connection: Connection, booking: UUID) -> bool:
    """Whether a booking still waits for the armory's answer."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT NOT EXISTS (SELECT FROM known_booking WHERE booking = $1 AND closed IS NOT NULL)
           AND NOT EXISTS (SELECT FROM reservation WHERE booking = $1)
        """,
        booking,
    )


async def load_taken_before(
    connection: Connection, booking: UUID, weapon: Weapon | None, reservation: Reservation | None
) -> Taken:
    """What others have of a type up to the beginning of a reservation."""
    if weapon is None or reservation is None:
        return Taken()
    return await load_taken(connection, weapon.kind.weapon_type, Span(EARLIEST, reservation.during.starts_at), booking)


async def load_taken(
    connection: Connection,
    weapon_type: str,
    during: Span,
    booking: UUID | None = None,
    replaces: UUID | None = None,
) -> Taken:
    """When others, or services, have units of a type around a time; and all that are out, as any may be late.

    What is kept for the booking that is replaced is free for the one that takes its place.
    """
    rows = await connection.fetch(
        """
        SELECT lower(r.during) AS starts_at, upper(r.during) AS ends_at, false AS out
        FROM reservation AS r
        WHERE r.weapon_type = $1 AND r.during && tstzrange($2, $3) AND NOT r.released AND r.booking <> ALL ($4)
          AND NOT EXISTS (SELECT FROM loan AS l WHERE l.booking = r.booking AND l.returned_at IS NULL)
        UNION ALL
        SELECT lower(a.during), upper(a.during), false
        FROM weapon_type AS t, unnest(t.away) AS a (during)
        WHERE t.weapon_type = $1 AND a.during && tstzrange($2, $3)
        UNION ALL
        SELECT lower(r.during), upper(r.during), true
        FROM loan AS l JOIN reservation AS r USING (booking)
        WHERE l.returned_at IS NULL AND r.weapon_type = $1 AND r.booking <> ALL ($4)
        """,
        weapon_type,
        during.starts_at,
        during.ends_at,
        [one for one in (booking, replaces) if one is not None],
    )
    return Taken(
        kept=tuple(Span(row["starts_at"], row["ends_at"]) for row in rows if not row["out"]),
        out=tuple(Span(row["starts_at"], row["ends_at"]) for row in rows if row["out"]),
    )
