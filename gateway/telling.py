"""Telling how a command stands: to who sent it, and to staff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from gateway.answers import CommandStatus, json_response, status_of
from gateway.problems import NOT_FOUND, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit


@dataclass(frozen=True, slots=True)
class Tells:
    """A command that somebody else sent looks as if there were none."""

    deadline_s: ClassVar[float | None] = 10.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        known = await visit.ports.outcomes.known(visit.path["command"])
        if known is None or not (visit.caller.staff or known.actor == visit.caller.actor):
            raise Problem(NOT_FOUND)
        return json_response(status_of(known.command, await visit.ports.outcomes.find(known.command)))

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Tell how a command stands: pending, done, rejected by a rule, or failed.",
            answers={200: CommandStatus},
        )
