"""Booking at work on a real database, without a log: what it is told is handled, what it says is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from bus.handling import Handling
from bus.identity import uuid7
from bus.message import Envelope, Event, Message, Received
from bus.outbox import Outbox, Said
from bus.service import ApplyMany
from handlers.booking.commands import BookSession
from handlers.booking.service import service
from tests.handlers.scenario import NOON

TABLES = (
    "cease_fire",
    "known_settlement",
    "known_custody",
    "known_agreement",
    "known_weapon_type",
    "known_entitlement",
    "known_staff",
    "waitlist_entry",
    "shooter_time",
    "closure",
    "known_calibre",
    "booking",
    "lane",
    "opening_hours",
    "range",
    "bus.scheduled",
)
Rows = dict[str, list[tuple[object, ...]]]


class NoProducer:
    id = 0


@dataclass
class Desk:
    connection: asyncpg.Connection
    at: datetime = NOON
    events: list[Event] = field(default_factory=list)  # all that its tables follow from, in order
    answers: dict[UUID, list[str]] = field(default_factory=dict)  # how each command ended

    async def hears(self, *messages: Message, by: str = "service:test") -> list[Said]:
        """Takes messages as one batch of the log and returns what booking says to them."""
        handling = Handling(service(), Outbox(service(), NoProducer()))
        async with self.connection.transaction():
            said = await handling.handle(self.connection, [_received(one, by, self.at) for one in messages], self.at)
        heard = [one for one in messages if type(one) not in service().says]  # its own were applied when it said them
        for message in (*heard, *(one.message for one in said)):
            if type(message) in service().applies:
                assert isinstance(message, Event)
                self.events.append(message)
        for one in said:
            if one.concludes is not None:
                assert one.status is not None
                self.answers.setdefault(one.concludes, []).append(one.status)
        return said

    async def refuses(self, message: Message, by: str = "service:test") -> str:
        """The rule by which booking refuses a command."""
        said = await self.hears(message, by=by)
        assert [one.message.name for one in said] == ["booking.command-rejected"], said
        rule: str = said[0].message.rule  # type: ignore[attr-defined]
        return rule

    def later(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)

    async def state_of(self, booking: UUID) -> str | None:
        state: str | None = await self.connection.fetchval("SELECT state FROM booking WHERE booking = $1", booking)
        return state

    async def scheduled(self) -> dict[str, datetime]:
        rows = await self.connection.fetch("SELECT key, due_at FROM bus.scheduled")
        return {row["key"]: row["due_at"] for row in rows}

    async def rows(self) -> Rows:
        """All rows of all tables that follow from events."""
        return {
            table: sorted((tuple(row) for row in await self.connection.fetch(f"SELECT * FROM {table}")), key=repr)
            for table in TABLES
            if not table.startswith("bus.")
        }

    async def replay(self, events: Sequence[Event]) -> None:
        """Applies events alone, as a rebuild does."""
        for event in events:
            apply = service().applies[type(event)]
            assert not isinstance(apply, ApplyMany)
            await apply(self.connection, event)

    async def forget(self) -> None:
        self.events, self.answers, self.at = [], {}, NOON
        for table in TABLES:
            await self.connection.execute(f"DELETE FROM {table}")


def _received(message: Message, actor: str, at: datetime) -> Received[Message]:
    id_ = message.booking if isinstance(message, BookSession) else uuid7()
    envelope = Envelope(
        position=0,
        topic="domain",
        partition=0,
        schema=message.version,
        producer=0,
        id=id_,
        cause=None,
        correlation=id_,
        concludes=None,
        revision=None,
        at=at,
        name=message.name,
        stream=message.stream,
        actor=actor,
        body=message.model_dump_json(),
    )
    return Received(envelope, message)
