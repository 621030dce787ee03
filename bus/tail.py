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
from bus.connection import Pool, is_away
from bus.message import Envelope
from bus.tasks import set_within

FOLLOWER_QUEUE: Final = 1_000
READ_AT_ONCE: Final = 1_000
CATCH_UP_AT_MOST: Final = 100_000
POLL_S: Final = 1.0
POLL_UNHEARD_S: Final = 0.1
TOPICS: Final = ("domain", "telemetry")

log = structlog.get_logger(__name__)


class TooSlow(Exception):  # noqa: N818 - a finding
    """A follower did not keep up, and was let go."""


class ForeignEpoch(Exception):  # noqa: N818 - a finding
    """The place to go on from belongs to another life of the log."""


@dataclass(eq=False, slots=True)
class _Follower:
    names: frozenset[str]
    queue: asyncio.Queue[Envelope | None]
    after: int


class Tail:
    """Reads what is new while anyone follows, and hands each follower the names it asked for."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell
        self._followers: set[_Follower] = set()
        self._wanted = asyncio.Event()
        self._cursor = 0
        self.epoch = 0

    async def open(self) -> None:
        async with self._pool.acquire(timeout=5.0) as connection:
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
        follower = _Follower(frozenset(names), asyncio.Queue(FOLLOWER_QUEUE), start)
        self._followers.add(follower)
        self._wanted.set()
        try:
            yield self._messages(follower)
        finally:
            self._followers.discard(follower)

    async def _messages(self, follower: _Follower) -> AsyncIterator[Envelope]:
        gap_end = self._cursor
        position = follower.after
        while position < gap_end:
            async with self._pool.acquire(timeout=5.0) as connection:
                batch = await reading.read(connection, position, TOPICS, sorted(follower.names), READ_AT_ONCE)
            for envelope in batch.messages:
                yield envelope
            position = batch.covered
            if not batch.behind:
                break
        while True:
            live = await follower.queue.get()
            if live is None:
                raise TooSlow
            if live.position > position:
                yield live

    async def run(self) -> None:
        """Reads on until cancelled; with nobody following, it only keeps its place."""
        rung = self._bell.waiter()
        try:
            while True:
                rung.clear()
                busy = False
                try:
                    busy = await self._read_on()
                except Exception as error:
                    if not is_away(error):
                        raise
                    log.warning("tail.waits", error=repr(error))
                if busy:
                    continue
                await set_within(rung, POLL_S if self._bell.listening else POLL_UNHEARD_S)
        finally:
            self._bell.forget(rung)

    async def _read_on(self) -> bool:
        names = sorted(frozenset().union(*(one.names for one in self._followers)))
        async with self._pool.acquire(timeout=5.0) as connection:
            if not names:
                self._cursor = max(self._cursor, await connection.fetchval("SELECT bus.horizon()"))
                return False
            batch = await reading.read(connection, self._cursor, TOPICS, names, READ_AT_ONCE)
        for envelope in batch.messages:
            for follower in list(self._followers):
                if envelope.name in follower.names:
                    self._hand(follower, envelope)
        self._cursor = max(self._cursor, batch.covered)
        return batch.behind or batch.unsettled

    def _hand(self, follower: _Follower, envelope: Envelope) -> None:
        if follower.queue.qsize() >= FOLLOWER_QUEUE - 1:
            self._followers.discard(follower)
            follower.queue.put_nowait(None)
            return
        follower.queue.put_nowait(envelope)
