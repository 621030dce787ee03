"""The database's clock, seen from here: shots are timed by it, since sessions are."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final

import structlog

from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing

SAMPLES: Final = 5
AGAIN_EVERY_S: Final = 60.0
RETRY_EVERY_S: Final = 2.0

log = structlog.get_logger(__name__)


class DatabaseClock:
    """The database's time without asking for it: one reading of it, and the time that has passed since."""

    def __init__(self) -> None:
        self._read_at: datetime | None = None
        self._read_s = 0.0  # on our monotonic clock

    def now(self) -> datetime | None:
        """The database's time now; None before it was first read."""
        if self._read_at is None:
            return None
        return self._read_at + timedelta(seconds=time.monotonic() - self._read_s)

    async def read(self, connection: Connection) -> None:
        """Reads it several times and takes the quickest answer, which can be wrong by half the time it took."""
        best_s = float("inf")
        for _ in range(SAMPLES):
            asked_s = time.monotonic()
            at: datetime = await connection.fetchval("SELECT clock_timestamp()")
            answered_s = time.monotonic()
            if answered_s - asked_s < best_s:
                best_s = answered_s - asked_s
                self._read_at, self._read_s = at, (asked_s + answered_s) / 2

    async def keep(self, pool: Pool) -> None:
        """Reads it anew every minute, until cancelled; while the database is away, what was read last goes on."""
        while True:
            wait_s = AGAIN_EVERY_S
            try:
                async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    await self.read(connection)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("clock.not-read", error=repr(error))
                wait_s = RETRY_EVERY_S
            await asyncio.sleep(wait_s)
