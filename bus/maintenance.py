"""What keeps the log in shape: partitions ahead, old spans dropped, whoever holds up all readers ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from bus import retention
from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing
from bus.tasks import running

LOOK_EVERY_S: Final = 1.0
TIDY_EVERY_S: Final = 600.0
EXTEND_AHEAD: Final = 3
LEASE: Final = "maintenance"
LEASE_LASTS: Final = timedelta(minutes=30)  # it is free at once when its holder's connection ends

log = structlog.get_logger(__name__)


class Maintenance:
    """Runs beside every process that writes, so that a log that is written to is one that is looked after.

    The work itself is done by one at a time, by lease, and comes to the same if it is done twice.
    """

    def __init__(self, pool: Pool, boot: UUID, consumers: Sequence[str]) -> None:
        self._pool = pool
        self._boot = boot
        self._consumers = consumers  # those that ought to exist: nothing that one of them has not read is dropped

    async def run(self) -> None:
        """Looks after the log until cancelled."""
        async with running(self._again_and_again(self._tidy, TIDY_EVERY_S)):
            await self._again_and_again(self._watch, LOOK_EVERY_S)

    async def _again_and_again(self, work: Callable[[Connection], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    await work(connection)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("maintenance.waits", error=repr(error))
            await asyncio.sleep(every_s)

    async def _watch(self, connection: Connection) -> None:
        await end_stale_marks(connection)
        if await connection.fetchval("SELECT bus.partitions_ahead()") < EXTEND_AHEAD:
            async with alone(connection, self._boot) as mine:
                if mine:
                    made = await connection.fetchval("SELECT bus.extend_log($1)", EXTEND_AHEAD)
                    log.info("log.extended", partitions=made)

    async def _tidy(self, connection: Connection) -> None:
        async with alone(connection, self._boot) as mine:
            if mine:
                await tidy(connection, self._consumers)


@asynccontextmanager
async def alone(connection: Connection, boot: UUID) -> AsyncIterator[bool]:
    """Whether the block has the maintenance's lease; it is given back after it."""
    fence = await connection.fetchval("SELECT fence FROM bus.take_lease($1, $2, $3)", LEASE, boot, LEASE_LASTS)
    try:
        yield fence is not None
    finally:
        if fence is not None and not connection.is_closed():
            await connection.execute("SELECT bus.release_lease($1, $2)", LEASE, fence)


async def end_stale_marks(connection: Connection) -> None:
    """Ends the connections that hold up everybody's horizon."""
    for stale in await connection.fetch("SELECT pid, role, age, ended FROM bus.end_stale_marks()"):
        log.error("mark.too-old", **{**stale, "age": stale["age"].total_seconds()})


async def tidy(connection: Connection, consumers: Sequence[str]) -> list[str]:
    """Drops what its retention lets go, as far as nobody needs it; says in words what was done and what stays."""
    said: list[str] = []
    keeping = await retention.declared(connection)
    for topic in (topic for topic in retention.TOPICS if topic in keeping):
        dropped = 0
        while (stays := await retention.drop_oldest(connection, topic, consumers)) is None:
            dropped += 1
        said.append(f"{topic}: {dropped} spans dropped; {stays}")
    await retention.forget_dropped(connection)
    forgotten = await retention.rotate_keys(connection)
    said.append(f"accepted: {forgotten} keys forgotten")
    if forgotten:
        log.info("keys.rotated", keys=forgotten)
    return said
