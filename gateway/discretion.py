"""What of a message somebody who follows a lane may see: his own and staff everything, others no person."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from bus.connection import Pool
from bus.message import Envelope
from gateway.access import Caller
from gateway.caught_up import ACQUIRE_TIMEOUT_S
from handlers.booking.commands import CeaseFire
from handlers.booking.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingTransferred,
    CeaseFireOrdered,
    EntitlementLost,
    FireResumed,
    LaneHeld,
    NoShowReleased,
    SessionFinished,
    SessionStarted,
    ShooterCheckedIn,
)
from handlers.booking.views.bookings import BookingView, booking
from handlers.stats.events import InterimScored, SessionScored

FOLLOWED: Final = tuple(
    message.name
    for message in (
        CeaseFire,  # told when it is asked for: nobody goes on shooting until booking has come to it
        CeaseFireOrdered,
        FireResumed,
        LaneHeld,
        BookingConfirmed,
        BookingRejected,
        BookingCancelled,
        BookingTransferred,
        EntitlementLost,
        NoShowReleased,
        ShooterCheckedIn,
        SessionStarted,
        SessionFinished,
        InterimScored,
        SessionScored,
    )
)
OF_A_RANGE: Final = frozenset({CeaseFire.name, CeaseFireOrdered.name, FireResumed.name})
PUBLIC: Final = frozenset(
    {
        "lane",
        "discipline",
        "starts_at",
        "ends_at",
        "from_lane",
        "started_at",
        "finished_at",
        "group",
        "sighters",
        "misses",
        "scored_at",
        "range",
        "ordered_at",
        "resumed_at",
    }
)
PUBLIC_OF_A_RANGE: Final = PUBLIC | {"reason"}  # of a booking, the reason may tell of somebody's licence
REMEMBERED: Final = 1_000


class Discretion:
    """Chooses, for one caller and one lane. What a message does not say of its booking is looked up once."""

    def __init__(self, pool: Pool, caller: Caller, lane: str, range_: str) -> None:
        self._pool = pool
        self._caller = caller
        self._lane = lane
        self._range = range_
        self._bookings: dict[UUID, BookingView | None] = {}

    async def tell(self, envelope: Envelope) -> str | None:
        """The message's body as JSON, whole or without what is personal; None if it is of another lane."""
        body: dict[str, Any] = json.loads(envelope.body)
        if envelope.name in OF_A_RANGE:
            return self._of_the_range(body) if body["range"] == self._range else None
        if envelope.name == BookingTransferred.name:
            self._bookings.pop(UUID(body["booking"]), None)
            if body["from_lane"] == self._lane:
                body["lane"] = self._lane
        terms: dict[str, Any] = body.get("terms", {})
        lane, person = terms.get("lane") or body.get("lane"), terms.get("person") or body.get("person")
        if lane not in {None, self._lane}:
            return None
        if lane is None or person is None:
            found = await self._booking(UUID(body.get("booking") or body["session"]))
            if found is None or found.lane != self._lane:
                return None
            person = str(found.person)
        if self._caller.staff or person == str(self._caller.person):
            return json.dumps(body)
        known = {**terms, **body, "lane": self._lane}
        return json.dumps({name: known[name] for name in sorted(PUBLIC & known.keys())})

    def _of_the_range(self, body: dict[str, Any]) -> str:
        known = {**body, "lane": self._lane}
        return json.dumps({name: known[name] for name in known if self._caller.staff or name in PUBLIC_OF_A_RANGE})

    async def _booking(self, id_: UUID) -> BookingView | None:
        if id_ not in self._bookings:
            while len(self._bookings) >= REMEMBERED:
                del self._bookings[next(iter(self._bookings))]
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                self._bookings[id_] = await booking(connection, id_, viewer=self._caller.viewer, staff=True)
        return self._bookings[id_]
