"""Whether the gateway lives, and whether the whole range is at work behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import asyncpg
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bus.connection import DATABASE_AWAY, Connection
from gateway.answers import json_response
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit

SERVICES: Final = ("auth", "booking", "armory", "payment", "stats")
STUCK_AFTER_S: Final = 15.0
ACQUIRE_TIMEOUT_S: Final = 1.0
QUERY_TIMEOUT_S: Final = 2.0


class Alive(BaseModel):
    """The gateway answers."""

    status: Literal["alive"] = "alive"


class ServiceHealth(BaseModel):
    """How a service is getting on with the log."""

    model_config = ConfigDict(frozen=True)

    service: str
    at_work: bool  # its living workers hold all its partitions
    behind: int  # how many positions of the log it has not passed yet in all of them
    stuck: bool  # behind, by what is older than a while, and not moving
    paused: bool  # a person has paused it: it does nothing until it is resumed
    circuits_open: Sequence[str]  # what its handlers depend on and is away; what depends on it waits


class Readiness(BaseModel):
    """Whether everything is at work, and if not, what is missing."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    database: bool
    bell: bool
    registered: bool
    services: Sequence[ServiceHealth]


@dataclass(frozen=True, slots=True)
class Live:
    """Answers, which is all it is asked for."""

    deadline_s: ClassVar[float | None] = 1.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        return json_response(Alive())

    @property
    def documented(self) -> Documented:
        return Documented(summary="Say that the gateway lives.", answers={200: Alive})


@dataclass(frozen=True, slots=True)
class Ready:
    """200 when everything is at work, else 503; what is missing is in the answer."""

    deadline_s: ClassVar[float | None] = 5.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        bell, registered = visit.ports.bell.listening, visit.ports.registered()
        services: list[ServiceHealth] = []
        try:
            async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                services = await _services(connection)
        except (asyncpg.QueryCanceledError, *DATABASE_AWAY):
            database = False
        else:
            database = True
        at_work = all(one.at_work and not one.stuck and not one.paused for one in services)
        readiness = Readiness(
            ready=database and bell and registered and at_work,
            database=database,
            bell=bell,
            registered=registered,
            services=services,
        )
        return json_response(readiness, status=200 if readiness.ready else 503)

    @property
    def documented(self) -> Documented:
        return Documented(summary="Say whether the whole range is at work.", answers={200: Readiness, 503: Readiness})


async def _services(connection: Connection) -> list[ServiceHealth]:
    horizon: int = await connection.fetchval("SELECT bus.horizon()", timeout=QUERY_TIMEOUT_S)
    rows = await connection.fetch(
        """
        SELECT s.service, bus.at_work(s.service) AS at_work, greatest(0, $2 - c.cursor) AS behind,
               coalesce(p.at < clock_timestamp() - $3 * interval '1 second', true)
                   AND coalesce(o.at < clock_timestamp() - $3 * interval '1 second', false) AS stuck,
               EXISTS (
                   SELECT FROM bus.pause AS u WHERE u.consumer = s.service AND u.kind = 'consumer') AS paused,
               ARRAY(
                   SELECT t.circuit FROM bus.circuit AS t
                   WHERE t.consumer = s.service AND t.state <> 'closed' ORDER BY 1) AS circuits_open
        FROM unnest($1::text[]) WITH ORDINALITY AS s (service, ordinal)
        CROSS JOIN LATERAL (SELECT bus.cursor_of(s.service) AS cursor) AS c
        LEFT JOIN LATERAL (  -- when the hindmost of its partitions last moved
            SELECT max(p.at) AS at FROM bus.progress AS p WHERE p.consumer = s.service AND p.to_position = c.cursor
        ) AS p ON true
        LEFT JOIN LATERAL (
            SELECT o.at FROM bus.outbox AS o WHERE o.position > c.cursor AND o.position <= $2
            ORDER BY o.position LIMIT 1
        ) AS o ON true
        ORDER BY s.ordinal
        """,
        list(SERVICES),
        horizon,
        STUCK_AFTER_S,
        timeout=QUERY_TIMEOUT_S,
    )
    return [
        ServiceHealth(
            service=row["service"],
            at_work=row["at_work"],
            behind=row["behind"],
            stuck=row["behind"] > 0 and row["stuck"],
            paused=row["paused"],
            circuits_open=row["circuits_open"],
        )
        for row in rows
    ]
