"""What is loaded to correct the custody book, to keep a weapon back, to service it, and to close a day."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from bus.fields import EARLIEST, LATEST
from handlers.armory.commands import (
    AssessWeapon,
    CancelServicePlan,
    CloseDay,
    CorrectHandover,
    FindServiceDue,
    MoveWeapon,
    PlanService,
    PlanServiceAhead,
    QuarantineWeapon,
    RecoverWeapon,
    ReleaseWeapon,
    ReportLoss,
    RetireWeapon,
    ServiceWeapon,
    SetServiceInterval,
    TransferWeapon,
)
from handlers.armory.events import UNNUMBERED
from handlers.armory.model.closing import Loose, Out
from handlers.armory.model.corrections import LastEntry, Page
from handlers.armory.model.fitness import Bench, Fleet
from handlers.armory.model.planning import Calendar, Hours
from handlers.armory.model.reservations import Taken
from handlers.armory.model.times import Span
from handlers.armory.store.ammunition import load_unexplained
from handlers.armory.store.loads import load_taken, lock_stock, lock_weapon, lock_weapon_type, weapon_of

OfWeapon = (
    QuarantineWeapon
    | ReleaseWeapon
    | ServiceWeapon
    | CancelServicePlan
    | FindServiceDue
    | PlanService
    | PlanServiceAhead
    | MoveWeapon
    | AssessWeapon
    | TransferWeapon
    | RetireWeapon
    | ReportLoss
    | RecoverWeapon
)


async def load_bench(connection: Connection, asked: OfWeapon) -> Bench:
    weapon = await lock_weapon(connection, asked.weapon)
    out = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM loan WHERE weapon = $1 AND returned_at IS NULL)
        """,
        asked.weapon,
    )
    return Bench(weapon, out)


async def load_fleet(connection: Connection, asked: SetServiceInterval) -> Fleet:
    kind = await lock_weapon_type(connection, asked.weapon_type)
    if kind is None:
        return Fleet(None, {})
    rows = await connection.fetch(
        """
        SELECT w.weapon, t.calibre, w.quarantine, w.rounds_fired, w.rounds_since_service, t.service_after_rounds,
               w.service_from, w.service_due_at, w.overdue, w.planned, w.barrel, w.barrel_rounds, w.gone
        FROM weapon AS w JOIN weapon_type AS t USING (weapon_type)
        WHERE w.weapon_type = $1
        """,
        asked.weapon_type,
    )
    return Fleet(kind, {row["weapon"]: weapon_of(kind, list(row)[1:]) for row in rows})


async def load_calendar(connection: Connection, asked: PlanService | PlanServiceAhead) -> Calendar:
    """Locks the type's row before it counts what is kept."""
    bench = await load_bench(connection, asked)
    if bench.weapon is None:
        return Calendar(bench, Taken())
    taken = await load_taken(connection, bench.weapon.kind.weapon_type, Span(EARLIEST, LATEST))
    rows = await connection.fetch(
        """
        SELECT DISTINCT time_zone, weekday, opens_minute, closes_minute FROM known_hours
        """
    )
    return Calendar(bench, taken, [Hours(*row) for row in rows])


async def load_loose(connection: Connection, asked: CloseDay) -> Loose:
    return Loose(await load_out(connection, asked), await load_unexplained(connection, asked.range))


async def load_out(connection: Connection, asked: CloseDay) -> list[Out]:
    rows = await connection.fetch(
        """
        SELECT l.weapon, w.weapon_type, l.holder
        FROM loan AS l JOIN weapon AS w USING (weapon) JOIN reservation AS r USING (booking)
        WHERE l.returned_at IS NULL AND r.range = $1 AND w.gone IS NULL
        ORDER BY l.issued_at, l.weapon
        """,
        asked.range,
    )
    return [Out(*row) for row in rows]


async def load_page(connection: Connection, asked: CorrectHandover) -> Page:
    weapon = await lock_weapon(connection, asked.weapon)
    stock = [] if weapon is None else await lock_stock(connection, weapon.calibre)
    last, lot = await load_last_entry(connection, asked.weapon)
    rounds = sum(one.rounds for one in stock if one.lot == lot)
    holds_one = last is not None and await holds_weapon(connection, last.booking)
    return Page(weapon, last, booking_holds_one=holds_one, rounds_in_stock=rounds)


async def load_last_entry(connection: Connection, weapon: UUID) -> tuple[LastEntry | None, str]:
    """The last entry, and the lot of the cartridges that its loan is about."""
    row = await connection.fetchrow(
        """
        SELECT h.entry, h.kind, h.at, h.corrects, h.booking, l.holder, h.rounds,
               coalesce(l.rounds_fired + coalesce(r.adjusted, 0), 0) AS rounds_fired, coalesce(l.lot, $2) AS lot
        FROM handover AS h
        JOIN loan AS l ON l.weapon = h.weapon AND l.booking = h.booking
        LEFT JOIN reckoning AS r ON r.booking = l.booking AND r.weapon = l.weapon
        WHERE h.weapon = $1
        ORDER BY h.entry DESC, l.entry DESC LIMIT 1
        """,
        weapon,
        UNNUMBERED,
    )
    if row is None:
        return None, UNNUMBERED
    *said, lot = row
    return LastEntry(*said), lot


async def holds_weapon(connection: Connection, booking: UUID) -> bool:
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT EXISTS (SELECT FROM loan WHERE booking = $1 AND returned_at IS NULL)
        """,
        booking,
    )
