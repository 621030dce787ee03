"""The register of weapons, what is reserved of it, and what is out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection
from handlers.armory.views.view import View


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
    """A weapon of the register; staff sees the whole serial number, the owner (none: the club) and the place."""

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
    state: Literal["ready", "out", "quarantined", "due", "lost", "retired"]
    maker: str | None
    model: str | None
    condition: str
    owner: UUID | None
    location: str | None


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


class ReservationView(View):
    """A weapon reserved for a booking."""

    booking: UUID
    person: UUID
    weapon_type: str
    title: str
    starts_at: datetime
    ends_at: datetime
    state: Literal["kept", "released", "done"]


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
               barrel_rounds, state, maker, model, condition, CASE WHEN $1 THEN owner END AS owner,
               CASE WHEN $1 THEN location END AS location
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
