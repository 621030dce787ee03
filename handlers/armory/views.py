"""What others may read of the armory: weapons, who holds them, and what is reserved."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict

from bus.connection import Connection


class View(BaseModel):
    """An answer of the armory."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WeaponTypeView(View):
    """A type of weapon of the club."""

    weapon_type: str
    weapon_class: str
    calibre: str
    title: str
    units: int
    units_out: int
    rounds_in_stock: int


class WeaponView(View):
    """A weapon of the register; its serial number is whole for staff, and masked for everybody else."""

    weapon: UUID
    weapon_type: str
    weapon_class: str
    calibre: str
    title: str
    serial: str
    out: bool
    quarantine: str | None
    rounds_fired: int
    rounds_since_service: int
    service_after_rounds: int | None
    service_due: bool
    service_after_days: int | None
    service_due_at: datetime | None
    planned_from: datetime | None
    planned_until: datetime | None
    planned_work: str | None
    barrel: int
    barrel_rounds: int


class Service(View):
    """A service of a weapon: what was done, and after how many rounds."""

    weapon: UUID
    number: int
    work: str
    rounds_fired: int
    rounds_since_service: int
    serviced_by: UUID
    serviced_at: datetime
    barrel: int
    barrel_rounds: int | None


class ReservationBeyondStock(View):
    """A reservation that may come to nothing: at some moment of its time more are kept than there are units fit."""

    booking: UUID
    person: UUID
    weapon_type: str
    title: str
    starts_at: datetime
    ends_at: datetime
    units: int
    kept: int


class WeaponOut(View):
    """A weapon that is out: with whom, for which booking, handed over by whom, with how many cartridges."""

    weapon: UUID
    weapon_type: str
    title: str
    serial: str
    booking: UUID
    held_by: UUID
    issued_by: UUID
    issued_at: datetime
    rounds_issued: int


class Custody(View):
    """Who held a weapon at a moment; nobody, if it lay in the armoury."""

    weapon: UUID
    at: datetime
    held_by: UUID | None
    booking: UUID | None
    since: datetime | None
    handed_by: UUID | None


class Handover(View):
    """An entry of the custody book: a weapon went from one person to another. `hash` chains it to the entry before."""

    weapon: UUID
    entry: int
    kind: Literal["issue", "return"]
    booking: UUID
    from_person: UUID
    to_person: UUID
    rounds: int
    at: datetime
    corrects: int | None
    reason: str | None
    corrected_by: UUID | None
    hash: str


class CustodyBook(View):
    """A weapon's custody book: how many entries it has, the hash of its last, and its last entries, the latest first.

    Whoever wrote down an earlier `head` can tell later whether that entry still stands as it did.
    """

    weapon: UUID
    entries: int
    head: str | None
    items: tuple[Handover, ...]


class ReservationView(View):
    """A weapon reserved for a booking."""

    booking: UUID
    person: UUID
    weapon_type: str
    title: str
    starts_at: datetime
    ends_at: datetime
    state: Literal["kept", "released", "done"]


class AmmunitionView(View):
    """How many cartridges of a calibre and a lot are in stock, and whether they can be issued."""

    calibre: str
    lot: str
    rounds: int
    expires_at: datetime | None
    recalled: str | None
    issuable: bool


class IssuedLot(View):
    """Cartridges of a lot that were issued: with which weapon, to whom, and what became of them."""

    calibre: str
    lot: str
    weapon: UUID
    entry: int
    booking: UUID
    holder: UUID
    issued_at: datetime
    rounds_issued: int
    rounds_returned: int | None
    rounds_fired: int | None
    rounds_written_off: int | None


class ExplanationView(View):
    """Why so many of a booking's cartridges differ from its counted shots."""

    number: int
    reason: str
    rounds: int
    explained_by: UUID
    explained_at: datetime


class CartridgesView(View):
    """A booking's cartridges: issued = fired + returned + written off + unexplained.

    Until its shots are counted and its weapons are back they are as the counter has them, and nothing is unexplained.
    """

    booking: UUID
    person: UUID
    state: Literal["out", "uncounted", "closed", "unexplained"]
    issued: int
    fired: int
    returned: int
    written_off: int
    unexplained: int
    counted: int | None


class CartridgesAccount(CartridgesView):
    """A booking's cartridges, and how the differences were explained."""

    explanations: tuple[ExplanationView, ...]


async def weapon_types(connection: Connection) -> list[WeaponTypeView]:
    rows = await connection.fetch(
        """
        SELECT weapon_type, weapon_class, calibre, title, units, units_out, rounds_in_stock
        FROM armory.weapon_types
        ORDER BY weapon_type
        """
    )
    return [WeaponTypeView(**row) for row in rows]


async def weapons(connection: Connection, *, staff: bool, weapon_type: str | None = None) -> list[WeaponView]:
    """The register, or its weapons of one type."""
    rows = await connection.fetch(
        """
        SELECT weapon, weapon_type, weapon_class, calibre, title,
               CASE WHEN $1 THEN serial ELSE '***' || right(serial, greatest(0, least(3, length(serial) - 3))) END
                   AS serial,
               out_with IS NOT NULL AS out, quarantine, rounds_fired, rounds_since_service, service_after_rounds,
               service_due, service_after_days, service_due_at, planned_from, planned_until, planned_work, barrel,
               barrel_rounds
        FROM armory.weapons
        WHERE $2::text IS NULL OR weapon_type = $2
        ORDER BY weapon_type, weapon
        """,
        staff,
        weapon_type,
    )
    return [WeaponView(**row) for row in rows]


async def weapons_out(connection: Connection) -> list[WeaponOut]:
    """All weapons that are out now, the longest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT weapon, weapon_type, title, serial, out_for AS booking, out_with AS held_by, issued_by, issued_at,
               rounds_issued
        FROM armory.weapons
        WHERE out_with IS NOT NULL
        ORDER BY issued_at, weapon
        """
    )
    return [WeaponOut(**row) for row in rows]


async def services(connection: Connection, weapon: UUID, *, most: int) -> list[Service]:
    """A weapon's last services, the latest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT weapon, number, work, rounds_fired, rounds_since_service, serviced_by, serviced_at, barrel,
               barrel_rounds
        FROM armory.services
        WHERE weapon = $1
        ORDER BY number DESC
        LIMIT $2
        """,
        weapon,
        most,
    )
    return [Service(**row) for row in rows]


async def reservations_beyond_stock(connection: Connection, *, most: int) -> list[ReservationBeyondStock]:
    """Reservations that the units fit for use may not suffice for, the next first; for staff."""
    rows = await connection.fetch(
        """
        SELECT booking, person, weapon_type, title, starts_at, ends_at, units, kept
        FROM armory.reservations_beyond_stock
        ORDER BY starts_at, booking
        LIMIT $1
        """,
        most,
    )
    return [ReservationBeyondStock(**row) for row in rows]


async def custody(connection: Connection, weapon: UUID, at: datetime) -> Custody | None:
    """Who held a weapon of the register at a moment; for staff."""
    row = await connection.fetchrow(
        """
        SELECT w.weapon, $2::timestamptz AS at, h.to_person AS held_by, h.booking, h.at AS since,
               h.from_person AS handed_by
        FROM armory.weapons AS w
        LEFT JOIN LATERAL (
            SELECT kind, booking, from_person, to_person, at FROM armory.handovers
            WHERE weapon = w.weapon AND at <= $2
            ORDER BY entry DESC LIMIT 1
        ) AS h ON h.kind = 'issue'
        WHERE w.weapon = $1
        """,
        weapon,
        at,
    )
    return None if row is None else Custody(**row)


async def handovers(connection: Connection, weapon: UUID, *, most: int = 200) -> list[Handover]:
    """A weapon's last entries in the custody book, the latest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT weapon, entry, kind, booking, from_person, to_person, rounds, at, corrects, reason, corrected_by,
               encode(hash, 'hex') AS hash
        FROM armory.handovers
        WHERE weapon = $1
        ORDER BY entry DESC
        LIMIT $2
        """,
        weapon,
        most,
    )
    return [Handover(**row) for row in rows]


async def custody_book(connection: Connection, weapon: UUID, *, most: int) -> CustodyBook:
    """A weapon's custody book from its end; for staff."""
    items = tuple(await handovers(connection, weapon, most=most))
    head = items[0] if items else None
    return CustodyBook(weapon=weapon, entries=head.entry if head else 0, head=head.hash if head else None, items=items)


async def reservations(connection: Connection, booking: UUID, *, viewer: UUID, staff: bool) -> list[ReservationView]:
    """What is, or was, reserved for a booking; a shooter sees only his own."""
    rows = await connection.fetch(
        """
        SELECT booking, person, weapon_type, title, starts_at, ends_at, state
        FROM armory.reservations
        WHERE booking = $1 AND ($3 OR person = $2)
        """,
        booking,
        viewer,
        staff,
    )
    return [ReservationView(**row) for row in rows]


async def ammunition(connection: Connection) -> list[AmmunitionView]:
    rows = await connection.fetch(
        """
        SELECT calibre, lot, rounds, expires_at, recalled, issuable
        FROM armory.ammunition_stock
        ORDER BY calibre, expires_at, lot
        """
    )
    return [AmmunitionView(**row) for row in rows]


async def issued_lots(connection: Connection, calibre: str, lot: str, *, most: int) -> list[IssuedLot]:
    """Who had cartridges of a lot, the last first; for staff."""
    rows = await connection.fetch(
        """
        SELECT calibre, lot, weapon, entry, booking, holder, issued_at, rounds_issued, rounds_returned, rounds_fired,
               rounds_written_off
        FROM armory.issued_lots
        WHERE calibre = $1 AND lot = $2
        ORDER BY issued_at DESC, weapon, entry
        LIMIT $3
        """,
        calibre,
        lot,
        most,
    )
    return [IssuedLot(**row) for row in rows]


async def cartridges(connection: Connection, booking: UUID, *, viewer: UUID, staff: bool) -> CartridgesAccount | None:
    """A booking's cartridges; a shooter sees only his own."""
    row = await connection.fetchrow(
        """
        SELECT booking, person, out, issued::int, returned::int, misfired::int, claimed::int,
               counted, fired, written_off, unexplained
        FROM armory.cartridges
        WHERE booking = $1 AND ($3 OR person = $2)
        """,
        booking,
        viewer,
        staff,
    )
    if row is None:
        return None
    explained = await connection.fetch(
        """
        SELECT number, reason, rounds, explained_by, explained_at
        FROM armory.explanations WHERE booking = $1
        ORDER BY number
        """,
        booking,
    )
    explanations = tuple(ExplanationView(**one) for one in explained)
    return CartridgesAccount(**_cartridges(row).model_dump(), explanations=explanations)


async def differences(connection: Connection, *, most: int) -> list[CartridgesView]:
    """The bookings whose cartridges do not add up, the earliest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT booking, person, out, issued::int, returned::int, misfired::int, claimed::int,
               counted, fired, written_off, unexplained
        FROM armory.cartridges
        WHERE unexplained <> 0
        ORDER BY starts_at, booking
        LIMIT $1
        """,
        most,
    )
    return [_cartridges(row) for row in rows]


def _cartridges(row: Record) -> CartridgesView:
    reckoned = row["fired"] is not None and not row["out"]
    closed: Literal["closed", "unexplained"] = "unexplained" if row["unexplained"] else "closed"
    uncounted: Literal["out", "uncounted"] = "out" if row["out"] else "uncounted"
    return CartridgesView(
        booking=row["booking"],
        person=row["person"],
        state=closed if reckoned else uncounted,
        issued=row["issued"],
        fired=row["fired"] if reckoned else row["claimed"],
        returned=row["returned"],
        written_off=row["written_off"] if reckoned else row["misfired"],
        unexplained=row["unexplained"] if reckoned else 0,
        counted=row["counted"],
    )
