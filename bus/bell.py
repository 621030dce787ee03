"""The bell: NOTIFY says that something was committed; what it was stands in the log.

It may be lost, late, doubled or rung by anyone, and nothing goes wrong: who hears it reads the log, and who hears
nothing reads the log a little later.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import structlog

from bus.backoff import full_jitter
from bus.connection import DATABASE_AWAY, Connection, close, connect

CHANNEL: Final = "firingline"
WORKERS_CHANNEL: Final = "firingline_workers"  # a worker came, went, or gave partitions back
CHANNELS: Final = 2
PING_EVERY_S: Final = 5.0
PING_TIMEOUT_S: Final = 2.0
RING_TIMEOUT_S: Final = 2.0
RECONNECT_LONGEST_S: Final = 2.0
RING_AT_MOST_EVERY_S: Final = 0.002
NO_BELL: Final = (asyncpg.PostgresError, *DATABASE_AWAY)  # any of them: what cannot ring or listen can still poll

log = structlog.get_logger(__name__)


class Bell:
    """Listens on a connection of its own, and tells every waiter when it rang or may have rung unheard."""

    def __init__(self, dsn: str, application: str) -> None:
        self._dsn = dsn
        self._application = application
        self._waiters: set[asyncio.Event] = set()
        self.workers_changed = asyncio.Event()  # for the one who clears it
        self._failures = 0
        self.listening = False

    def waiter(self) -> asyncio.Event:
        """An event that is set at each ring; the waiter clears it before it looks."""
        event = asyncio.Event()
        self._waiters.add(event)
        return event

    def forget(self, waiter: asyncio.Event) -> None:
        self._waiters.discard(waiter)

    async def run(self) -> None:
        """Listens until cancelled. After each (re)connection all waiters are woken to read the gap."""
        while True:
            try:
                await self._connect_and_listen()
            except NO_BELL as away:
                self._failures += 1
                log.warning("bell.lost", error=repr(away), failures=self._failures)
                await asyncio.sleep(full_jitter(self._failures, longest_s=RECONNECT_LONGEST_S))

    async def _connect_and_listen(self) -> None:
        connection = await connect(self._dsn, f"{self._application}/bell")
        try:
            await self._listen(connection)
        finally:
            self.listening = False
            connection.terminate()

    async def _listen(self, connection: Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: self.wake())
        await connection.add_listener(WORKERS_CHANNEL, lambda *_: self.workers_changed.set())
        self.listening = True
        self.wake()
        while True:
            try:
                await asyncio.wait_for(lost.wait(), PING_EVERY_S)
            except TimeoutError:
                await self._ping(connection)
                self._failures = 0
            else:
                message = "the listening connection ended"
                raise ConnectionResetError(message)

    async def _ping(self, connection: Connection) -> None:
        """Proves that the socket and the registration still live; a cut cable would say nothing by itself."""
        registered = await connection.fetchval(
            "SELECT count(*) FROM pg_listening_channels() AS c WHERE c IN ($1, $2)",
            CHANNEL,
            WORKERS_CHANNEL,
            timeout=PING_TIMEOUT_S,
        )
        if registered != CHANNELS:
            message = "the listening connection is no longer registered"
            raise ConnectionResetError(message)

    def wake(self) -> None:
        """Wakes all who wait, as a ring does."""
        for waiter in self._waiters:
            waiter.set()


class Ringer:
    """Rings after commits, on a connection of its own: one ring in flight, many commits to a ring."""

    def __init__(self, dsn: str, application: str) -> None:
        self._dsn = dsn
        self._application = application
        self._wanted = asyncio.Event()
        self._failures = 0

    def ring(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Rings when asked until cancelled. A ring that fails is rung again; meanwhile readers poll."""
        while True:
            await self._wanted.wait()
            try:
                await self._connect_and_ring()
            except NO_BELL as away:
                self._wanted.set()
                self._failures += 1
                log.warning("ringer.lost", error=repr(away), failures=self._failures)
                await asyncio.sleep(full_jitter(self._failures, longest_s=RECONNECT_LONGEST_S))

    async def _connect_and_ring(self) -> None:
        connection = await connect(self._dsn, f"{self._application}/ringer")
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                await connection.execute(f"NOTIFY {CHANNEL}", timeout=RING_TIMEOUT_S)
                self._failures = 0
                await asyncio.sleep(RING_AT_MOST_EVERY_S)
        finally:
            await close(connection)
