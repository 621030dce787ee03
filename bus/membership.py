"""A worker's place among those of its consumer: its heartbeat, and its share of the partitions, under a fence."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from bus.connection import Connection
from bus.errors import LeaseLost
from bus.lease import LEASE_LOST
from bus.partitions import NONE, how_many
from bus.service import Service
from bus.tasks import set_within

LASTS: Final = timedelta(seconds=10)
LOOK_EVERY_S: Final = 0.5

log = structlog.get_logger(__name__)


class Membership:
    """One worker of a consumer. It lives as long as its connection does, and keeps giving signs of life.

    Its share changes by `balance` alone, which the consumer calls between two transactions.
    """

    def __init__(self, connection: Connection, service: Service, boot: UUID) -> None:
        self._connection = connection
        self._service = service
        self._boot = boot
        self.consumer = service.name
        self.fence = 0
        self.partitions = NONE
        self.unbalanced = True  # shares have to change

    async def enter(self) -> None:
        """Joins the consumer's workers, with no share yet."""
        while True:
            fence = await self._connection.fetchval(
                "SELECT bus.enter($1, $2, $3, $4, $5::bus.topic[], $6::text[], $7)",
                self.consumer,
                self._boot,
                socket.gethostname(),
                os.getpid(),
                self._service.topics,
                self._service.catalogue.names,
                LASTS,
            )
            if fence is not None:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        self.fence, self.partitions, self.unbalanced = fence, NONE, True
        log.info("worker.entered", consumer=self.consumer, fence=fence)

    async def keep(self, changed: asyncio.Event, tell: Callable[[], None]) -> None:
        """Gives signs of life until cancelled, and calls `tell` when shares have to change; raises LeaseLost.

        `changed` is set when a worker came or went: then it looks at once.
        """
        while True:
            changed.clear()
            unbalanced = await self._connection.fetchval(
                "SELECT bus.heartbeat($1, $2, $3)", self.consumer, self._boot, LASTS
            )
            if unbalanced is None:
                raise LeaseLost(self.consumer)
            if unbalanced:
                self.unbalanced = True
                tell()
            await set_within(changed, LOOK_EVERY_S)

    async def balance(self, connection: Connection, *, suspect: int) -> int:
        """Takes or gives what a fair share needs; returns the partitions whose last holder died.

        `suspect` are those held in which a worker before this one may have died of a message.
        """
        try:
            row = await connection.fetchrow(
                "SELECT fence, partitions, unclean FROM bus.balance($1, $2, $3)", self.consumer, self.fence, suspect
            )
        except asyncpg.PostgresError as error:
            raise lost_or(error) from error
        assert row is not None
        self.unbalanced = False
        unclean: int = row["unclean"]
        if row["fence"] != self.fence:
            self.fence, self.partitions = row["fence"], row["partitions"]
            log.info(
                "worker.share",
                consumer=self.consumer,
                fence=self.fence,
                partitions=how_many(self.partitions),
                unclean=how_many(unclean),
            )
        return unclean

    async def check(self, connection: Connection) -> None:
        """Raises LeaseLost if any of the share is somebody else's now; otherwise it stays ours until COMMIT."""
        try:
            await connection.execute("SELECT bus.check_share($1, $2, $3)", self.consumer, self.fence, self.partitions)
        except asyncpg.PostgresError as error:
            raise lost_or(error) from error

    async def leave(self, connection: Connection, *, suspect: int) -> None:
        """Gives the share back in good order, so that nobody need suspect anything but what is `suspect` already."""
        await connection.execute("SELECT bus.leave($1, $2, $3)", self.consumer, self.fence, suspect)
        self.partitions = NONE
        log.info("worker.left", consumer=self.consumer, fence=self.fence)


def lost_or(error: asyncpg.PostgresError) -> Exception:
    """LeaseLost if that is what a refusal means."""
    return LeaseLost(str(error)) if error.sqlstate == LEASE_LOST else error
