"""A lane as it happens: server-sent events, each with its place in the log, to go on from after a break."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Final

import structlog
from aiohttp import hdrs, web

from bus.clock import now
from bus.connection import is_away
from bus.message import Envelope
from bus.tail import ForeignEpoch, TooSlow
from gateway.access import Caller
from gateway.caught_up import ACQUIRE_TIMEOUT_S
from gateway.discretion import FOLLOWED, Discretion
from gateway.ports import ENDING
from gateway.problems import (
    DATABASE_AWAY,
    FOREIGN_EPOCH,
    NOT_FOUND,
    TOO_FAR_BACK,
    TOO_MANY_STREAMS,
    Problem,
    again_after,
    invalid,
)
from gateway.queries import Position, must_have_none
from gateway.revocations import Revocations
from gateway.routing import Documented, Visit
from handlers.booking.views.lanes import LaneView, lanes

LAST_EVENT_ID: Final = "Last-Event-ID"
STREAMS_EACH: Final = 8
STREAMS_TOGETHER: Final = 1_000
FARTHEST_BACK: Final = 100_000  # positions of the log that are read once more for one who comes back
HEARTBEAT_S: Final = 15.0
LOOK_S: Final = 1.0  # whether the client is still there
WRITE_WITHIN_S: Final = 10.0
COME_BACK_AFTER_MS: Final = 1_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Streams:
    """The streams that are open, bounded for each caller and together."""

    each: int = STREAMS_EACH
    together: int = STREAMS_TOGETHER
    open: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def place(self, actor: str) -> Iterator[None]:
        if self.open[actor] >= self.each or self.open.total() >= self.together:
            raise Problem(TOO_MANY_STREAMS, headers={hdrs.RETRY_AFTER: "5"})
        self.open[actor] += 1
        try:
            yield
        finally:
            self.open[actor] -= 1
            if not self.open[actor]:
                del self.open[actor]


STREAMS: Final = web.AppKey("streams", Streams)


@dataclass(frozen=True, slots=True)
class Follows:
    """Sends what happens on a lane until the client leaves, falls behind, or its token ends or is revoked."""

    deadline_s: ClassVar[float | None] = None

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        after = last_seen(visit.request)
        if not visit.ports.tail.epoch:
            raise again_after(DATABASE_AWAY, 1)
        lane = await _lane(visit, after)
        discretion = Discretion(visit.ports.pool, visit.caller, lane.lane, lane.range)
        with visit.request.app[STREAMS].place(visit.caller.actor):
            try:
                async with visit.ports.tail.follow(FOLLOWED, after=after) as messages:
                    return await _Stream(visit, discretion).send(messages, visit.ports.tail.epoch)
            except ForeignEpoch as foreign:
                raise Problem(FOREIGN_EPOCH) from foreign

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Follow what happens on a lane, as server-sent events.",
            headers=(LAST_EVENT_ID,),
            answers={200: None},
            media_type="text/event-stream",
        )


class _Stream:
    """One response that goes on."""

    def __init__(self, visit: Visit, discretion: Discretion) -> None:
        self._request = visit.request
        self._discretion = discretion
        self._ending = visit.request.app[ENDING]
        self._caller = visit.caller
        self._revocations = visit.ports.revocations
        self._response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )

    async def send(self, messages: AsyncIterator[Envelope], epoch: int) -> web.StreamResponse:
        await self._response.prepare(self._request)
        try:
            await self._write(f"retry: {COME_BACK_AFTER_MS}\n\n")
            async for envelope in self._with_heartbeats(messages):
                told = await self._discretion.tell(envelope)
                if told is not None:
                    place = Position(epoch, envelope.position)
                    await self._write(f"id: {place}\nevent: {envelope.name}\ndata: {told}\n\n")
        except TooSlow:
            log.info("live.too-slow", path=self._request.path)
        except TimeoutError:
            log.info("live.stalled", path=self._request.path)
            if self._request.transport is not None:
                self._request.transport.abort()
        except Exception as error:
            if not is_away(error):
                raise
            log.info("live.broken-off", path=self._request.path, error=repr(error))
        return self._response

    async def _with_heartbeats(self, messages: AsyncIterator[Envelope]) -> AsyncIterator[Envelope]:
        quiet_since = time.monotonic()
        coming = asyncio.ensure_future(anext(messages))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            while not self._over():
                await asyncio.wait({coming, ending}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    yield coming.result()
                    quiet_since = time.monotonic()
                    coming = asyncio.ensure_future(anext(messages))
                elif time.monotonic() - quiet_since > HEARTBEAT_S:
                    await self._write(": nothing new\n\n")
                    quiet_since = time.monotonic()
        finally:
            coming.cancel()
            ending.cancel()
            await asyncio.wait({coming, ending})

    def _over(self) -> bool:
        transport = self._request.transport
        gone = transport is None or transport.is_closing()
        return gone or self._ending.is_set() or no_longer_admitted(self._caller, self._revocations)

    async def _write(self, text: str) -> None:
        async with asyncio.timeout(WRITE_WITHIN_S):
            await self._response.write(text.encode())


def no_longer_admitted(caller: Caller, revocations: Revocations) -> bool:
    """Whether a stream's caller has lost what admitted him: his token ended or was revoked, or nobody can tell."""
    assert caller.issued_at is not None
    assert caller.expires_at is not None
    if now() >= caller.expires_at or revocations.revoked(caller.viewer, caller.issued_at):
        return True
    return caller.staff and not revocations.fresh


async def _lane(visit: Visit, after: Position | None) -> LaneView:
    """The lane to follow; raises if there is none, or if the place to go on from is too far back."""
    async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        found = next((lane for lane in await lanes(connection) if lane.lane == visit.path["lane"]), None)
        if found is None:
            raise Problem(NOT_FOUND)
        if after and await connection.fetchval("SELECT bus.horizon()") - after.position > FARTHEST_BACK:
            raise Problem(TOO_FAR_BACK)
    return found


def last_seen(request: web.Request) -> Position | None:
    text = request.headers.get(LAST_EVENT_ID)
    if not text:
        return None
    position = Position.read(text)
    if position is None:
        raise invalid({"parameter": LAST_EVENT_ID, "detail": "must be the `id` of an event of such a stream"})
    return position
