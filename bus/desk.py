"""What a consumer works with: its service, its connection, its share, and the steps every transaction has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from bus.admission import Admission
from bus.connection import Connection, is_away, is_partition_missing, is_producer_expired
from bus.errors import LeaseLost
from bus.fronts import Front
from bus.handling import NO_ANSWERS, Answers, Handling
from bus.membership import Membership, lost_or
from bus.message import Command, Envelope, Message, Received
from bus.observing import Delivered, Observe, unobserved, untold
from bus.outbox import Outbox, Said
from bus.partitions import ALL
from bus.service import DEFAULT_ATTEMPTS, AfterLastAttempt, Service

DIGEST_FACTOR: Final = 0x9E3779B97F4A7C15
DIGEST_MASK: Final = 0x7FFFFFFFFFFFFFFF


class Desk:
    """One consumer's place in the bus."""

    def __init__(
        self,
        service: Service,
        connection: Connection,
        membership: Membership,
        outbox: Outbox,
        ring: Callable[[], None],
        observe: Observe = unobserved,
    ) -> None:
        self.service = service
        self.connection = connection
        self.membership = membership
        self.outbox = outbox
        self.ring = ring
        self.observe = observe
        self.delivered: Delivered = untold
        self.consumer = service.name
        self.handling = Handling(service, outbox)
        self.admission = Admission(service)
        self.catalogue = service.catalogue
        self.names = self.catalogue.names
        self.topics = service.topics
        self.own = service.own

    async def handle(
        self, received: Sequence[Received[Message]], at: datetime, answers: Answers = NO_ANSWERS
    ) -> list[Said]:
        """Everything that follows from these messages; nobody who shares the work is at their stories meanwhile."""
        if self.membership.partitions != ALL and (stories := stories_of(one.envelope for one in received)):
            await self.connection.execute("SELECT bus.hold_stories($1, $2::uuid[])", self.consumer, list(stories))
        return await self.handling.handle(self.connection, received, at, answers)

    async def advance(self, envelopes: Sequence[Envelope], front: Front, *, covered: int) -> None:
        """Writes the progress row of a front's batch; raises LeaseLost if the work is somebody else's now."""
        digest = 0
        for envelope in envelopes:
            digest ^= envelope.position * DIGEST_FACTOR & DIGEST_MASK
        try:
            await self.connection.execute(
                "SELECT bus.advance($1, $2, $3, $4, $5, $6, $7)",
                self.consumer,
                self.membership.fence,
                front.partitions,
                front.written,
                covered,
                len(envelopes),
                digest,
            )
        except asyncpg.PostgresError as error:
            raise lost_or(error) from error

    async def check_share(self) -> None:
        """Raises LeaseLost if any of the work is somebody else's now; otherwise it stays ours until COMMIT."""
        await self.membership.check(self.connection)

    @asynccontextmanager
    async def under_share(self) -> AsyncIterator[None]:
        """A short transaction in which a worker that lost its share writes nothing."""
        async with self.connection.transaction():
            await self.check_share()
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
        """Whether an error is about the worker (its database, share, producer, partition) and not about a message."""
        if isinstance(error, asyncpg.InterfaceError) and not self.connection.is_closed():
            return False  # the connection is well: a handler used it wrongly
        return (
            isinstance(error, LeaseLost | asyncpg.LockNotAvailableError)  # a rebuild, say, is swapping the tables
            or is_away(error)
            or is_producer_expired(error)
            or is_partition_missing(error)
        )


def stories_of(envelopes: Iterable[Envelope]) -> set[UUID]:
    """The stories that messages belong to; what devices tell belongs to none."""
    return {one.correlation for one in envelopes if one.topic == "domain"}
