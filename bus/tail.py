"""The log's live end: one reader a process, fanned out to many followers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from bus import reading
from bus.bell import Bell
from bus.connection import ACQUIRE_TIMEOUT_S, Pool, is_passing
from bus.message import Envelope
from bus.tasks import set_within

FOLLOWER_QUEUE: Final = 1_000
READ_AT_ONCE: Final = 250  # a part of the queue, so that whoever is quick can empty it in between
POLL_S: Final = 1.0
POLL_UNHEARD_S: Final = 0.1
UNSETTLED_S: Final = 0.005
UNFOLLOWED_S: Final = 0.2  # with nobody there, a busy log is not looked at with each of its rings
TOPICS: Final = ("domain", "telemetry")

log = structlog.get_logger(__name__)


class TooSlow(Exception):  # noqa: N818 - a finding
    """A follower did not keep up, and was let go."""


class ForeignEpoch(Exception):  # noqa: N818 - a finding
    """The place to go on from belongs to another life of the log."""


@dataclass(eq=False, slots=True)
class _Follower:
    names: frozenset[str]
    position: int  # it has had, or did not want, everything up to here
    queue: asyncio.Queue[Envelope | None]
    joined: asyncio.Future[int]  # after which position the live reader hands it everything


class Tail:
    """Reads what is new while anyone follows, and hands each follower the names it asked for."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell
        self._followers: set[_Follower] = set()
        self._rung = bell.waiter()
        self._cursor = 0
        self.epoch = 0

    async def open(self) -> None:
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            self.epoch = await connection.fetchval("SELECT max(epoch) FROM bus.epoch")
            self._cursor = await connection.fetchval("SELECT bus.horizon()")

    @asynccontextmanager
    async def follow(
        self, names: Collection[str], *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[AsyncIterator[Envelope]]:
        """Messages of these names from now on, or after a place (epoch, position) that was read before.

        Raises ForeignEpoch at once, and TooSlow from the iterator.
        """
        if after is not None and after[0] != self.epoch:
            raise ForeignEpoch
        start = self._cursor if after is None else after[1]
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        follower = _Follower(frozenset(names), start, asyncio.Queue(FOLLOWER_QUEUE), future)
        try:
            yield self._messages(follower)
        finally:
            self._followers.discard(follower)

    async def _messages(self, follower: _Follower) -> AsyncIterator[Envelope]:
        """First what was missed, read at the follower's own pace; then what the live reader hands over.

        It joins when it is near the live end, and reads by itself what lies before the place where it joined.
        """
        while not (follower.joined.done() and follower.position >= follower.joined.result()):
            if follower.position >= self._cursor and not follower.joined.done():
                self._followers.add(follower)
                self._rung.set()
                await follower.joined
                continue
            batch = await self._read(follower.position, follower.names)
            for envelope in batch.messages:
                follower.position = envelope.position
                yield envelope
            follower.position = max(follower.position, batch.covered)
            if batch.unsettled:
                await asyncio.sleep(UNSETTLED_S)
        while True:
            live = await follower.queue.get()
            if live is None:
                raise TooSlow
            if live.position > follower.position:
                yield live

    async def run(self) -> None:
        """Reads on until cancelled; with nobody following, it only keeps its place."""
        while True:
            self._rung.clear()
            patience_s = POLL_S if self._bell.listening else POLL_UNHEARD_S
            try:
                patience_s = min(patience_s, await self._read_on())
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("tail.waits", error=repr(error))
            if patience_s:
                if not self._followers:
                    await asyncio.sleep(UNFOLLOWED_S)
                await set_within(self._rung, patience_s)

    async def _read_on(self) -> float:
        """Reads once for all who follow; returns the seconds until something is worth looking for without a ring."""
        followers = list(self._followers)
        for follower in followers:
            if not follower.joined.done():
                follower.joined.set_result(self._cursor)
        if not followers:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                self._cursor = max(self._cursor, await connection.fetchval("SELECT bus.horizon()"))
            return POLL_S
        batch = await self._read(self._cursor, frozenset().union(*(one.names for one in followers)))
        for envelope in batch.messages:
            for follower in followers:
                if envelope.name in follower.names and follower in self._followers:
                    self._hand(follower, envelope)
        self._cursor = max(self._cursor, batch.covered)
        if batch.behind:
            return 0.0
        return UNSETTLED_S if batch.unsettled else POLL_S

    async def _read(self, after: int, names: Collection[str]) -> reading.Batch:
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            return await reading.read(connection, after, TOPICS, sorted(names), READ_AT_ONCE)

    def _hand(self, follower: _Follower, envelope: Envelope) -> None:
        if follower.queue.qsize() >= FOLLOWER_QUEUE - 1:
            self._followers.discard(follower)
            follower.queue.put_nowait(None)
            return
        follower.queue.put_nowait(envelope)
