"""Bookings, for the shooters they belong to and for staff."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection
from handlers.booking.views.view import View


class BookingView(View):
    """A booking as it stands; if it was rejected, or called off by a rule, also by whom, by which rule and why."""

    booking: UUID
    person: UUID
    range: str
    lane: str
    discipline: str
    starts_at: datetime
    ends_at: datetime
    weapon_class: str
    weapon_type: str | None
    rounds: int
    state: Literal["held", "confirmed", "checked-in", "in-use", "finished", "rejected", "cancelled", "no-show"]
    held_until: datetime
    check_in_from: datetime
    no_show_at: datetime
    weapon_out: bool
    invoice: UUID | None
    total_minor: int | None
    currency: str | None
    paid: bool
    refused_by: Literal["auth", "booking", "armory", "payment"] | None
    rule: str | None
    rule_version: int | None
    reason: str | None
    checked_in_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    entitlement_lost_at: datetime | None
    participants: tuple[UUID, ...]
    replaces: UUID | None
    replaced_by: UUID | None
    series: UUID | None


class BookingsView(View):
    """Bookings in the order they begin; `next` is where to go on, if there are more."""

    bookings: tuple[BookingView, ...]
    next: UUID | None


async def booking(connection: Connection, id_: UUID, *, viewer: UUID, staff: bool) -> BookingView | None:
    """A booking, for who shoots in it; other shooters' look as if there were none."""
    row = await connection.fetchrow(
        """
        SELECT booking, person, range, lane, discipline, starts_at, ends_at, weapon_class, weapon_type, rounds, state,
               held_until, check_in_from, no_show_at, weapon_out, invoice, total_minor, currency,
               settled_at IS NOT NULL AS paid, refused_by, rule, rule_version, reason, checked_in_at, started_at,
               finished_at, entitlement_lost_at, participants, replaces, replaced_by, series
        FROM booking.bookings
        WHERE booking = $1 AND ($3 OR person = $2 OR $2 = ANY (participants))
        """,
        id_,
        viewer,
        staff,
    )
    return None if row is None else BookingView(**row)


async def bookings(
    connection: Connection,
    person: UUID | None,
    starts_from: datetime | None,
    starts_before: datetime | None,
    limit: int,
    after: UUID | None,
    *,
    viewer: UUID,
    staff: bool,
) -> BookingsView:
    """Bookings that begin within [starts_from, starts_before), of one person or of all that the viewer may see.

    `after` is the `next` of the page before; one that is not among what the viewer may see leads to an empty page.
    """
    rows = await connection.fetch(
        """
        SELECT booking, person, range, lane, discipline, starts_at, ends_at, weapon_class, weapon_type, rounds, state,
               held_until, check_in_from, no_show_at, weapon_out, invoice, total_minor, currency,
               settled_at IS NOT NULL AS paid, refused_by, rule, rule_version, reason, checked_in_at, started_at,
               finished_at, entitlement_lost_at, participants, replaces, replaced_by, series
        FROM booking.bookings
        WHERE ($7 OR person = $6) AND ($1::uuid IS NULL OR person = $1)
          AND starts_at >= coalesce($2::timestamptz, '-infinity') AND starts_at < coalesce($3::timestamptz, 'infinity')
          AND ($5::uuid IS NULL OR (starts_at, booking) > (
              SELECT b.starts_at, b.booking FROM booking.bookings AS b
              WHERE b.booking = $5 AND ($7 OR b.person = $6)))
        ORDER BY starts_at, booking
        LIMIT $4 + 1
        """,
        person,
        starts_from,
        starts_before,
        limit,
        after,
        viewer,
        staff,
    )
    page = [BookingView(**row) for row in rows[:limit]]
    return BookingsView(bookings=tuple(page), next=page[-1].booking if len(rows) > limit else None)


async def series(connection: Connection, id_: UUID, *, viewer: UUID, staff: bool) -> list[BookingView]:
    """The bookings of a series in the order they begin; other shooters' look as if there were none."""
    rows = await connection.fetch(
        """
        SELECT booking, person, range, lane, discipline, starts_at, ends_at, weapon_class, weapon_type, rounds, state,
               held_until, check_in_from, no_show_at, weapon_out, invoice, total_minor, currency,
               settled_at IS NOT NULL AS paid, refused_by, rule, rule_version, reason, checked_in_at, started_at,
               finished_at, entitlement_lost_at, participants, replaces, replaced_by, series
        FROM booking.bookings
        WHERE series = $1 AND ($3 OR person = $2)
        ORDER BY starts_at, lane
        """,
        id_,
        viewer,
        staff,
    )
    return [BookingView(**row) for row in rows]
