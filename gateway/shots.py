"""Shots that a device sends by HTTP, with its own token and for its own lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from gateway.answers import json_response
from gateway.body import read
from gateway.problems import NOT_FOUND, NOT_PERMITTED, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit
from gateway.tracking.push import PushedShots, PushResult


@dataclass(frozen=True, slots=True)
class TakesShots:
    """Hands a device's shots to tracking. Another device's address looks absent."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        device = visit.path["device"]
        if device != visit.caller.device:
            raise Problem(NOT_FOUND)
        if len(visit.caller.lanes) != 1:
            raise Problem(NOT_PERMITTED, "The token is not bound to one lane.")
        [lane] = visit.caller.lanes
        visit.ports.must_append()
        told = await visit.ports.push_shots(await read(visit.request), device, lane)
        return json_response(told, status=202 if told.kept else 200)

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Report shots. One that is known already counts once, whichever way it came.",
            body=PushedShots,
            answers={200: PushResult, 202: PushResult},
        )
