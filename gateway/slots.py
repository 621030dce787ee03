"""What can be booked on a day: what is free is read anew for each who asks, what changes seldom every second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar, Final
from uuid import UUID

from aiohttp import web
from pydantic import Field

from bus.connection import Connection
from bus.fields import Code
from gateway.caught_up import ACQUIRE_TIMEOUT_S, wait_until_past
from gateway.problems import NOT_FOUND, Problem
from gateway.queries import Day, Query, read_query
from gateway.routing import Documented, Visit
from handlers.booking.views.offers import Prices, Written
from handlers.booking.views.slots import Setting, SlotsView, setting_of, slots_json
from handlers.payment.views import prices

FRESH_FOR_S: Final = 1.0  # ranges, lanes, stock and prices


class SlotsQuery(Query):
    """A day, at one range or at all; staff may ask for a shooter."""

    date: Day
    range: Code | None = None
    person: UUID | None = Field(default=None, description="For whom; only staff asks for others.")


@dataclass(slots=True)
class LatestSetting:
    """What changes seldom, as it was read last, and the slots that were written from it."""

    read: asyncio.Lock = field(default_factory=asyncio.Lock)
    at_s: float = float("-inf")
    setting: Setting | None = None
    prices: Prices | None = None
    written: Written = field(default_factory=Written)


LATEST_SETTING: Final = web.AppKey("latest_setting", LatestSetting)


@dataclass(frozen=True, slots=True)
class ShowsSlots:
    """Puts the answer together. With `min-position`, nothing in it is older than that."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        query = read_query(SlotsQuery, visit.request)
        if query.position is not None:
            await wait_until_past(visit.ports, "booking", query.position)
        person = visit.caller.viewer
        if query.person not in {None, person}:
            if not visit.caller.staff or query.person is None:
                raise Problem(NOT_FOUND)
            person = query.person
        latest = visit.request.app[LATEST_SETTING]
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            setting = await _setting(connection, latest, at_once=query.position is not None)
            found = await slots_json(
                connection, setting, query.date, query.range, person, latest.prices, latest.written
            )
        if found is None:
            raise Problem(NOT_FOUND)
        return web.Response(body=found.encode(), content_type="application/json")

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Show what a shooter can book on a day: free lanes and times, weapons that are allowed and there, "
            "what they cost, and why something is not possible.",
            query=SlotsQuery,
            answers={200: SlotsView},
        )


async def _setting(connection: Connection, latest: LatestSetting, *, at_once: bool) -> Setting:
    now = asyncio.get_running_loop().time
    async with latest.read:
        if latest.setting is None or at_once or now() - latest.at_s > FRESH_FOR_S:
            latest.setting = await setting_of(connection)
            listed = await prices(connection)
            latest.prices = (
                None if listed is None else Prices(listed.currency, listed.lane_hour_minor, listed.weapon_minor)
            )
            latest.at_s = now()
        return latest.setting
