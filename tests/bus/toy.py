"""A service small enough to test the bus with: it keeps tallies, on booking's role and schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg

from bus import answers
from bus.connection import Connection
from bus.errors import Later, Rejected
from bus.group_commit import Asked, key_of
from bus.identity import uuid7
from bus.message import Command, Envelope, Event, Message
from bus.outbox import Outbox, Producer, Said
from bus.service import AfterLastAttempt, Given, Hears, Schedule, Service
from bus.trust import Trust


class Add(Command, name="booking.add", stream="tally:{tally}"):
    """Add to a tally."""

    tally: str
    amount: int


class AddLater(Command, name="booking.add-later", stream="tally:{tally}"):
    """Add to a tally in a while."""

    tally: str
    amount: int
    seconds: float


class Added(Event, name="booking.added", stream="tally:{tally}"):
    """Something was added."""

    tally: str
    amount: int
    command: UUID


class Put(Event, name="booking.put-off", stream="tally:{tally}"):
    """Something will be added."""

    tally: str


class CommandRejected(answers.CommandRejected, name="booking.command-rejected", stream="{about}", rejects="command"):
    """The toy refused."""


class CommandFailed(answers.CommandFailed, name="booking.command-failed", stream="{about}", fails="command"):
    """The toy failed."""


class TooMuch(Rejected):
    """{amount} is too much at once."""


@dataclass
class Faults:
    """What goes wrong, and how often: an amount and what happens when it is added."""

    raises: dict[int, list[Exception]]
    seen: list[int]

    def strike(self, amount: int) -> None:
        self.seen.append(amount)
        waiting = self.raises.get(amount)
        if waiting:
            raise waiting.pop(0)


async def _total(connection: Connection, command: Add) -> int:
    total: int = await connection.fetchval("SELECT coalesce(sum(amount), 0) FROM tally WHERE tally = $1", command.tally)
    return total


async def _added(connection: Connection, event: Added) -> None:
    await connection.execute(
        "INSERT INTO tally (tally, amount, command) VALUES ($1, $2, $3)", event.tally, event.amount, event.command
    )


def toy(
    faults: Faults | None = None, *, attempts: int = 3, after_last: AfterLastAttempt = AfterLastAttempt.SKIP
) -> Service:
    def add(_total: int, command: Add, given: Given) -> Sequence[Event]:
        if faults is not None:
            faults.strike(command.amount)
        if command.amount > 1000:
            raise TooMuch(amount=command.amount)
        return [Added(tally=command.tally, amount=command.amount, command=given.id)]

    def add_later(_state: None, command: AddLater, given: Given) -> Sequence[Any]:
        if faults is not None:
            faults.strike(command.amount)
        ask = Add(tally=command.tally, amount=command.amount)
        return [
            Put(tally=command.tally),
            Schedule(f"add:{command.tally}", given.at + timedelta(seconds=command.seconds), ask),
        ]

    return Service(
        name="booking",
        hears=[
            Hears(Add, _total, add, attempts=attempts, after_last=after_last),
            Hears(AddLater, None, add_later),
        ],
        says=[Added, Put],
        applies={Added: _added},
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
        asks_itself=[Add],
    )


NAMES = [
    "booking.add",
    "booking.add-later",
    "booking.added",
    "booking.put-off",
    "booking.command-rejected",
    "booking.command-failed",
]


async def make_table(admin: asyncpg.Connection) -> None:
    """The tallies; nothing in the table would stop a second effect, that is the bus's work."""
    await admin.execute("""
        CREATE TABLE booking.tally (tally text NOT NULL, amount integer NOT NULL, command uuid NOT NULL);
        GRANT USAGE ON SCHEMA booking TO firingline_booking;
        GRANT SELECT, INSERT ON booking.tally TO firingline_booking;
    """)


class AllTrusted(Trust):
    """Trusts every producer, where trust is not what is tested."""

    def __init__(self) -> None:
        pass

    async def strangers(self, _connection: Connection, _envelopes: Sequence[Envelope]) -> list[Envelope]:
        return []


@dataclass
class FixedProducer:
    id: int


async def register(connection: asyncpg.Connection, names: Sequence[str], *, for_s: float = 3600) -> FixedProducer:
    """Registers a producer without any token, where the token is not what is tested."""
    expires_at = datetime.now(UTC) + timedelta(seconds=for_s)
    number = await connection.fetchval(
        "SELECT bus.register_producer($1, $2, $3, $4, $5)", uuid7(), uuid7(), list(names), "untested", expires_at
    )
    return FixedProducer(number)


async def append(connection: asyncpg.Connection, producer: Producer, *messages: Message) -> list[UUID]:
    """Appends messages as a service does; returns nothing but their order's positions."""
    said = [Said(one, "service:booking", uuid7(), None) for one in messages]
    await Outbox(toy(), producer).append(connection, said)
    rows = await connection.fetch("SELECT id FROM bus.outbox ORDER BY position DESC LIMIT $1", len(messages))
    return [row["id"] for row in reversed(rows)]


LATER = Later(0.01)


# At the gate

SHOTS = ["booking.shot"]


class Shot(Event, name="booking.shot", stream="shots:{device}", topic="telemetry"):
    """A shot, as a device tells it."""

    device: str
    epoch: str
    number: int


def asked(tally: str, amount: int, *, key: str | None = None, id_: UUID | None = None, content: bytes = b"") -> Asked:
    """A command at the gate; without a key, one that nobody repeats."""
    command = Add(tally=tally, amount=amount)
    return Asked(
        key=uuid7() if key is None else key_of("person:x POST /adds", key),
        hash=sha256(content or command.model_dump_json().encode()).digest(),
        id=id_ or uuid7(),
        command=command,
        actor="person:x",
    )


async def logged(connection: asyncpg.Connection, name: str = "booking.add") -> list[UUID]:
    """The ids of all messages of a name, in order."""
    rows = await connection.fetch("SELECT id FROM bus.outbox WHERE name = $1 ORDER BY position", name)
    return [row["id"] for row in rows]
