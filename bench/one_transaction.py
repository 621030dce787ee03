"""The baseline of `firingline bench booking`: what all services do to the tables and the log, in one transaction."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.errors import Refusal
from bus.group_commit import Asked, accept_all
from bus.handling import Handling
from bus.identity import uuid7
from bus.message import Envelope, Message, Received
from bus.outbox import Outbox, Said
from handlers.booking.events import BookingConfirmed
from handlers.wiring import SERVICES

LASTS: Final = timedelta(minutes=59)


class OneTransaction:
    """The services' own handlers, one after the other on one connection; no log is read, no progress is kept."""

    def __init__(self, connection: Connection, producer: int) -> None:
        self._connection = connection
        self.id = producer  # what an outbox asks its producer for
        made = [make() for make in SERVICES.values()]
        outboxes = [Outbox(service, self) for service in made]
        self._desks = [
            (service, outbox, Handling(service, outbox)) for service, outbox in zip(made, outboxes, strict=True)
        ]

    async def book(self, asked: Asked) -> None:
        """Takes a wish to book and everything that follows from it, up to its confirmation; then commits."""
        async with self._connection.transaction():
            at = await self._connection.fetchval("SELECT clock_timestamp()")
            await accept_all(self._connection, self.id, [asked])
            wish = Said(asked.command, asked.actor, asked.command.correlation(asked.id), None)
            waiting = deque([_received(wish, asked.id, at)])
            while waiting:
                for said in await self._handle(waiting.popleft(), at):
                    if isinstance(said.message, BookingConfirmed):
                        return
                    waiting.append(_received(said, uuid7(), at))
            raise Refusal("The baseline's booking was not confirmed: is the range as it was loaded?")

    async def _handle(self, received: Received[Message], at: datetime) -> list[Said]:
        everything: list[Said] = []
        for service, outbox, handling in self._desks:
            if type(received.message) in service.projects or service.row(type(received.message)) is not None:
                await self._connection.execute(f"SET LOCAL search_path = {service.name}, bus, pg_temp")
                said = await handling.handle(self._connection, [received], at)
                await outbox.append(self._connection, said)
                everything += said
        return everything


async def one_transaction(connection: Connection) -> OneTransaction:
    """On an administrator's connection, which may write every service's tables, as a producer that may say all."""
    names = {name for make in SERVICES.values() for name in make().may_append}
    heard = {row.message.name for make in SERVICES.values() for row in make().hears}
    producer: int = await connection.fetchval(
        "SELECT bus.register_producer($1, $2, $3, 'bench', clock_timestamp() + $4)",
        uuid7(),
        uuid7(),
        sorted(names | heard),
        LASTS,
    )
    return OneTransaction(connection, producer)


def _received(said: Said, number: UUID, at: datetime) -> Received[Message]:
    """What a worker would have read, with an envelope of which handlers look at these parts alone."""
    envelope = Envelope(
        position=0,
        topic="domain",
        partition=0,
        schema=said.message.version,
        producer=0,
        id=number,
        cause=said.cause,
        correlation=said.correlation,
        concludes=said.concludes,
        revision=None,
        at=at,
        name=said.message.name,
        stream=said.message.stream,
        actor=said.actor,
        body="",
    )
    return Received(envelope, said.message)
