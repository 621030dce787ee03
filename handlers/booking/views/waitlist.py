"""The waiting list, for who is in it and for staff."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection
from handlers.booking.views.view import View


class WaitlistView(View):
    """A place in the waiting list; with an offer, which lane is kept and until when."""

    entry: UUID
    person: UUID
    range: str
    discipline: str
    lane: str | None
    starts_at: datetime
    ends_at: datetime
    weapon_class: str
    weapon_type: str | None
    rounds: int
    joined_at: datetime
    state: Literal["waiting", "offered", "accepted", "lapsed", "left"]
    offered_lane: str | None
    offered_until: datetime | None
    booking: UUID | None


async def waitlist(
    connection: Connection, person: UUID | None, *, viewer: UUID, staff: bool, most: int
) -> list[WaitlistView]:
    """Who waits for times to come, in the order they joined; a shooter sees his own."""
    rows = await connection.fetch(
        """
        SELECT entry, person, range, discipline, lane, starts_at, ends_at, weapon_class, weapon_type, rounds, joined_at,
               state, offered_lane, offered_until, booking
        FROM booking.waitlist
        WHERE ($3 OR person = $2) AND ($1::uuid IS NULL OR person = $1) AND starts_at > now()
        ORDER BY joined_at, entry
        LIMIT $4
        """,
        person,
        viewer,
        staff,
        most,
    )
    return [WaitlistView(**row) for row in rows]
