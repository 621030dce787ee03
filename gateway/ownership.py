"""Whether what a path names belongs to the caller. Others' things look absent, like what does not exist."""

from __future__ import annotations

from typing import assert_never

from gateway.access import Owner
from gateway.problems import NOT_FOUND, Problem
from gateway.routing import Visit
from handlers.booking.commands import BookSession
from handlers.booking.views.bookings import booking
from handlers.stats.views.reports import report

ACQUIRE_TIMEOUT_S = 2.0


async def must_own(visit: Visit) -> None:
    """Raises unless the caller is staff here, or the thing is his."""
    access, caller = visit.route.access, visit.caller
    if access is None or access.own is None or caller.staff:
        return
    match access.own:
        case Owner.PERSON:
            owns = visit.path["person"] == caller.person
        case Owner.BOOKING:
            owns = await _owns_booking(visit)
        case Owner.REPORT:
            owns = await _owns_report(visit)
        case Owner.ROWS | Owner.BODY:
            owns = True  # the query, or the command's own check, sees to it
        case _:
            assert_never(access.own)
    if not owns:
        raise Problem(NOT_FOUND)


async def _owns_report(visit: Visit) -> bool:
    async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        return await report(connection, visit.path["report"], visit.caller.viewer) is not None


async def _owns_booking(visit: Visit) -> bool:
    """By booking's view; and for one that is not there yet, by who asked for it."""
    async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        found = await booking(connection, visit.path["booking"], viewer=visit.caller.viewer, staff=False)
    if found is not None:
        return True
    known = await visit.ports.outcomes.known(visit.path["booking"])
    return known is not None and known.name == BookSession.name and known.actor == visit.caller.actor
