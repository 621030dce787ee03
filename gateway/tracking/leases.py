"""Which gateway connects to a target: a lease each, all on one connection, which takes them with it when it ends.

With the database away nobody can say whose a lease is. Who had it goes on: two who read one target do no harm, since a
shot counts once, whereas a target that nobody reads loses what it cannot store. Once the database is back the lease is
taken again, or given up to who was quicker.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from bus.backoff import full_jitter
from bus.connection import Connection, close, connect, is_passing
from bus.tasks import set_within

LASTS: Final = timedelta(seconds=10)
RENEW_EVERY_S: Final = 3.0
ANSWER_WITHIN_S: Final = 3.0  # so that a lease is given up here before it has run out there
ASK_AGAIN_S: Final = 1.0
RECONNECT_LONGEST_S: Final = 2.0
TAKE_AGAIN_WITHIN_S: Final = LASTS.total_seconds() + 2.0  # our own connection may seem alive to the server as long

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Held:
    """A lease that is ours until `lost` is set."""

    name: str
    fence: int
    connection: Connection  # on which it was taken; it is ours for sure for as long as that lives
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Leases:
    """This process's leases."""

    def __init__(self, dsn: str, application: str, holder: UUID) -> None:
        self._dsn = dsn
        self._application = application
        self._holder = holder
        self._connection: Connection | None = None
        self._talking = asyncio.Lock()
        self._held: set[Held] = set()

    async def run(self) -> None:
        """Keeps the connection and renews what is held, until cancelled."""
        failures = 0
        while True:
            try:
                connection = await connect(self._dsn, f"{self._application}/leases")
            except Exception as error:
                if not is_passing(error):
                    raise
                failures += 1
                await asyncio.sleep(full_jitter(failures, longest_s=RECONNECT_LONGEST_S))
                continue
            failures = 0
            self._connection = connection
            try:
                await self._renew_all(connection)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("leases.not-renewed", held=len(self._held), error=repr(error))
            finally:
                self._connection = None
                await close(connection)

    @asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[Held]:
        """Waits until the lease is ours; gives it back in the end."""
        while (held := await self._take(name)) is None:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(ASK_AGAIN_S * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        self._held.add(held)
        try:
            yield held
        finally:
            self._held.discard(held)
            if not held.lost.is_set():
                await self._give_back(held)

    async def _take(self, name: str) -> Held | None:
        async with self._talking:
            connection = self._connection
            if connection is None:
                return None
            try:
                fence = await connection.fetchval(
                    "SELECT fence FROM bus.take_lease($1, $2, $3)", name, self._holder, LASTS, timeout=ANSWER_WITHIN_S
                )
            except Exception as error:
                if not is_passing(error):
                    raise
                return None
        # A lease taken on a connection that has ended meanwhile has ended with it.
        return None if fence is None or self._connection is not connection else Held(name, fence, connection)

    async def _give_back(self, held: Held) -> None:
        async with self._talking:
            if self._connection is None or held.connection is not self._connection:
                return
            try:
                await self._connection.execute(
                    "SELECT bus.release_lease($1, $2)", held.name, held.fence, timeout=ANSWER_WITHIN_S
                )
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("lease.not-given-back", lease=held.name, error=repr(error))

    async def _renew_all(self, connection: Connection) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda *_: ended.set())
        give_up_s = time.monotonic() + TAKE_AGAIN_WITHIN_S
        unsure = True
        while not await set_within(ended, ASK_AGAIN_S if unsure else RENEW_EVERY_S):
            async with self._talking:
                unsure = await self._take_again(connection)
                await self._renew(connection, [one for one in self._held if one.connection is connection])
                if unsure and time.monotonic() > give_up_s:
                    self._lose({one for one in self._held if one.connection is not connection})
        log.warning("leases.connection-lost", held=len(self._held))

    async def _take_again(self, connection: Connection) -> bool:
        """Whether there are some left that were taken on an earlier connection, and are not ours again."""
        for held in [one for one in self._held if one.connection is not connection]:
            fence = await connection.fetchval(
                "SELECT fence FROM bus.take_lease($1, $2, $3)", held.name, self._holder, LASTS, timeout=ANSWER_WITHIN_S
            )
            if fence is not None:
                held.fence, held.connection = fence, connection
        return any(one.connection is not connection for one in self._held)

    async def _renew(self, connection: Connection, held: list[Held]) -> None:
        rows = await connection.fetch(
            """
            SELECT h.name FROM unnest($1::text[], $2::bigint[]) AS h (name, fence)
            WHERE NOT bus.renew_lease(h.name, h.fence, $3)
            """,
            [one.name for one in held],
            [one.fence for one in held],
            LASTS,
            timeout=ANSWER_WITHIN_S,
        )
        gone = {row["name"] for row in rows}
        self._lose({one for one in self._held if one.name in gone})

    def _lose(self, lost: set[Held]) -> None:
        for one in set(lost):
            log.warning("lease.lost", lease=one.name, fence=one.fence)
            one.lost.set()
            self._held.discard(one)
