"""Work with effects outside the database (a file, a letter): beside the consumer, and back into the log as messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from bus.backoff import full_jitter
from bus.bell import Bell
from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, close, connect, is_passing
from bus.errors import LeaseLost
from bus.lease import Lease
from bus.outbox import Outbox
from bus.service import Outside
from bus.tasks import running

COME_BACK_LONGEST_S: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Office:
    """What work outside has at hand. It holds a lease of its own: one process at a time does it."""

    dsn: str
    pool: Pool
    outbox: Outbox
    bell: Bell
    ring: Callable[[], None]
    lease: Lease

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection

    @asynccontextmanager
    async def under_lease(self) -> AsyncIterator[Connection]:
        """A transaction in which nothing is written if somebody else does this work by now.

        What is said in it by `outbox.say` comes last; whoever said something rings after it.
        """
        async with self.connection() as connection, connection.transaction():
            await self.lease.check(connection)
            yield connection


async def keep_doing(work: Outside, office: Callable[[Lease], Office], dsn: str, application: str, boot: UUID) -> None:
    """Waits for the work's lease and does it until cancelled; comes back by itself when database or lease are lost."""
    failures = 0
    while True:
        try:
            connection = await connect(dsn, f"{application}/{work.name}")
            try:
                lease = Lease(connection, f"outside:{work.name}", boot)
                await lease.wait()
                failures = 0
                async with running(lease.keep()):
                    await work.run(office(lease))
            finally:
                await close(connection)
        except Exception as error:
            if not (isinstance(error, LeaseLost) or is_passing(error)):
                raise
            failures += 1
            wait_s = full_jitter(failures, first_s=0.05, longest_s=COME_BACK_LONGEST_S)
            log.warning("outside.coming-back", work=work.name, error=repr(error), wait_s=round(wait_s, 3))
            await asyncio.sleep(wait_s)
