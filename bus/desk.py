"""What a consumer works with: its service, its connection, its lease, and the steps every transaction shares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from bus.connection import Connection, is_away, is_partition_missing, is_producer_expired
from bus.errors import LeaseLost
from bus.handling import Handling
from bus.lease import Lease
from bus.message import Command, Envelope
from bus.observing import Observe, unobserved
from bus.outbox import Outbox, Said
from bus.service import DEFAULT_ATTEMPTS, AfterLastAttempt, Service

LEASE_LOST: Final = "FL001"
DIGEST_FACTOR: Final = 0x9E3779B97F4A7C15
DIGEST_MASK: Final = 0x7FFFFFFFFFFFFFFF


class Desk:
    """One consumer's place in the bus."""

    def __init__(
        self,
        service: Service,
        connection: Connection,
        lease: Lease,
        outbox: Outbox,
        ring: Callable[[], None],
        observe: Observe = unobserved,
    ) -> None:
        self.service = service
        self.connection = connection
        self.outbox = outbox
        self.ring = ring
        self.observe = observe
        self.consumer = service.name
        self.handling = Handling(service, outbox)
        self.catalogue = service.catalogue
        self.names = self.catalogue.names
        self.topics = service.topics
        self._lease = lease

    async def advance(self, envelopes: Sequence[Envelope], *, since: int, covered: int) -> None:
        """Writes the progress row of a batch; raises LeaseLost if the work is somebody else's now."""
        digest = 0
        for envelope in envelopes:
            digest ^= envelope.position * DIGEST_FACTOR & DIGEST_MASK
        try:
            await self.connection.execute(
                "SELECT bus.advance($1, $2, $3, $4, $5, $6)",
                self.consumer,
                self._lease.fence,
                since,
                covered,
                len(envelopes),
                digest,
            )
        except asyncpg.PostgresError as error:
            raise _lease_lost_or(error) from error

    async def check_lease(self) -> None:
        """Raises LeaseLost if the work is somebody else's now; otherwise it stays ours until COMMIT."""
        try:
            await self.connection.execute(
                "SELECT bus.check_lease($1, $2)", f"consumer:{self.consumer}", self._lease.fence
            )
        except asyncpg.PostgresError as error:
            raise _lease_lost_or(error) from error

    @asynccontextmanager
    async def under_lease(self) -> AsyncIterator[None]:
        """A short transaction in which a worker that lost its lease writes nothing."""
        async with self.connection.transaction():
            await self.check_lease()
            yield

    async def failure(self, envelope: Envelope) -> list[Said]:
        """What is said when a message is given up: a command's sender is told."""
        kind = self.catalogue.get(envelope.name)
        if kind is None or not issubclass(kind, Command):
            return []
        failed = self.service.failed_as(
            command=envelope.id,
            asked=envelope.name,
            about=envelope.stream,
            reason="This could not be done because of a fault on our side; it has been noted.",
        )
        return await self.outbox.take(
            self.connection,
            [failed],
            actor=f"service:{self.consumer}",
            correlation=envelope.correlation,
            cause=envelope.id,
        )

    def attempts_of(self, envelope: Envelope) -> tuple[int, AfterLastAttempt]:
        """How often a message is tried, and what happens after the last time."""
        kind = self.catalogue.get(envelope.name)
        row = None if kind is None else self.handling.row(kind)
        return (DEFAULT_ATTEMPTS, AfterLastAttempt.SKIP) if row is None else (row.attempts, row.after_last)

    def ends_the_turn(self, error: BaseException) -> bool:
        """Whether an error is about the worker (its database, lease, producer, partition) and not about a message."""
        if isinstance(error, asyncpg.InterfaceError) and not self.connection.is_closed():
            return False  # the connection is well: a handler used it wrongly
        return (
            isinstance(error, LeaseLost | asyncpg.LockNotAvailableError)  # a rebuild, say, is swapping the tables
            or is_away(error)
            or is_producer_expired(error)
            or is_partition_missing(error)
        )


def _lease_lost_or(error: asyncpg.PostgresError) -> Exception:
    return LeaseLost(str(error)) if error.sqlstate == LEASE_LOST else error
