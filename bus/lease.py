"""Who does a piece of work: one holder at a time, by the database's clock, with a fence that grows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from bus.connection import Connection
from bus.errors import LeaseLost

LEASE_LASTS: Final = timedelta(seconds=10)
RENEW_EVERY_S: Final = 3.0
RETRY_EVERY_S: Final = 0.5
LEASE_LOST: Final = "FL001"

log = structlog.get_logger(__name__)


class Lease:
    """A named lease on a connection of its own: when that connection ends, the lease is free at once."""

    def __init__(self, connection: Connection, name: str, holder: UUID) -> None:
        self._connection = connection
        self._name = name
        self._holder = holder
        self.fence = 0
        self.unclean = False  # the holder before went without giving it back

    async def take(self) -> bool:
        """Takes the lease if it can be had now."""
        row = await self._connection.fetchrow(
            "SELECT fence, unclean FROM bus.take_lease($1, $2, $3)", self._name, self._holder, LEASE_LASTS
        )
        if row is None:
            return False
        self.fence, self.unclean = row["fence"], row["unclean"]
        log.info("lease.taken", lease=self._name, fence=self.fence, unclean=self.unclean)
        return True

    async def wait(self) -> None:
        """Waits until the lease is ours."""
        while not await self.take():  # noqa: ASYNC110 - the lease is in the database, no event tells of it
            await asyncio.sleep(RETRY_EVERY_S)

    async def keep(self) -> None:
        """Renews until cancelled; raises LeaseLost when it is somebody else's."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            if not await self._connection.fetchval(
                "SELECT bus.renew_lease($1, $2, $3)", self._name, self.fence, LEASE_LASTS
            ):
                raise LeaseLost(self._name)

    async def check(self, connection: Connection) -> None:
        """Raises LeaseLost if it is somebody else's now; otherwise it stays ours until that transaction's end."""
        try:
            await connection.execute("SELECT bus.check_lease($1, $2)", self._name, self.fence)
        except asyncpg.PostgresError as error:
            raise (LeaseLost(self._name) if error.sqlstate == LEASE_LOST else error) from error

    async def release(self) -> None:
        await self._connection.execute("SELECT bus.release_lease($1, $2)", self._name, self.fence)
        log.info("lease.released", lease=self._name, fence=self.fence)
