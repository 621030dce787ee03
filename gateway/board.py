"""The public board: every lane, how it stands, and how the session on it goes; nothing of who shoots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict

from bus.connection import Connection
from gateway.caught_up import ACQUIRE_TIMEOUT_S
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit

FRESH_FOR_S: Final = 0.5  # however many look, the database is asked this often


class BoardLane(BaseModel):
    """A lane, and the match shots of the session on it, if there is one: scores in tenths of a ring."""

    model_config = ConfigDict(frozen=True)

    lane: str
    range: str
    discipline: str
    distance_m: int
    state: Literal["free", "held", "booked", "checked-in", "in-use"]
    until: datetime | None
    cease_fire_since: datetime | None
    shots: int | None
    score_tenths: int | None
    inner_tens: int | None
    sighters: int | None
    misses: int | None
    started_at: datetime | None


class Board(BaseModel):
    """All lanes at a moment."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    lanes: Sequence[BoardLane]


@dataclass(slots=True)
class LatestBoard:
    """The board as it was read last."""

    read: asyncio.Lock = field(default_factory=asyncio.Lock)
    at_s: float = float("-inf")
    body: bytes = b""


LATEST_BOARD: Final = web.AppKey("latest_board", LatestBoard)


@dataclass(frozen=True, slots=True)
class ShowsBoard:
    """Reads the board for all who look at about the same time."""

    deadline_s: ClassVar[float | None] = 5.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        latest, now = visit.request.app[LATEST_BOARD], asyncio.get_running_loop().time
        async with latest.read:
            if now() - latest.at_s > FRESH_FOR_S:
                async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    latest.body = (await _read(connection)).model_dump_json().encode()
                latest.at_s = now()
        return web.Response(
            body=latest.body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "public, max-age=1"}
        )

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Show all lanes and how the sessions on them go, without persons.", answers={200: Board}
        )


async def _read(connection: Connection) -> Board:
    rows = await connection.fetch(
        """
        SELECT l.lane, l.range, l.discipline, l.distance_m, l.state, l.until, l.cease_fire_since, s.shots,
               s.score_tenths, s.inner_tens, s.sighters, s.misses, s.started_at
        FROM booking.lanes AS l
        LEFT JOIN LATERAL (
            SELECT t.shots, t.score_tenths, t.inner_tens, t.sighters, t.misses, t.started_at
            FROM stats.sessions AS t
            WHERE t.lane = l.lane AND t.finished_at IS NULL AND l.state = 'in-use'
            ORDER BY t.started_at DESC LIMIT 1
        ) AS s ON true
        ORDER BY l.range, l.lane
        """
    )
    at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return Board(at=at, lanes=[BoardLane(**row) for row in rows])
