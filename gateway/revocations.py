"""Whose access tokens count no more, though they have not ended: read from auth's view, and kept some seconds fresh.

It is read when the bell rings, and every second without: the view has the few of the last ten minutes, behind an
index. Following the log instead would make every gateway read each message of a busy range for the rare one that
matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from bus.bell import Bell
from bus.connection import Pool, is_passing
from bus.tasks import set_within
from handlers.auth.views import revocations

READ_EVERY_S: Final = 1.0
READ_AT_MOST_EVERY_S: Final = 0.05
ACQUIRE_TIMEOUT_S: Final = 2.0
FRESH_FOR_S: Final = 5.0
TRY_EVERY_S: Final = 0.5  # by those who wait for it

log = structlog.get_logger(__name__)


class Revocations:
    """Says whether a token was revoked, as of at most FRESH_FOR_S ago; `fresh` is false where that is not known."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._rung = bell.waiter()
        self._since: Mapping[UUID, datetime] = {}
        self._reading = asyncio.Lock()
        self._tried_at = float("-inf")
        self._read_at = float("-inf")

    @property
    def fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._read_at < FRESH_FOR_S

    async def are_known(self) -> bool:
        """Whether they are fresh, having read them if they were not."""
        async with self._reading:
            if not self.fresh and asyncio.get_running_loop().time() - self._tried_at > TRY_EVERY_S:
                await self._read()
        return self.fresh

    def revoked(self, person: UUID, issued_at: datetime) -> bool:
        since = self._since.get(person)
        return since is not None and issued_at < since

    async def run(self) -> None:
        """Reads until cancelled."""
        while True:
            self._rung.clear()
            async with self._reading:
                await self._read()
            await asyncio.sleep(READ_AT_MOST_EVERY_S)
            await set_within(self._rung, READ_EVERY_S)

    async def _read(self) -> None:
        self._tried_at = began = asyncio.get_running_loop().time()
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                self._since = await revocations(connection)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("revocations.waits", error=repr(error))
        else:
            self._read_at = began
