"""A service hears messages in a database as its worker would; what it says is kept here instead of in the log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from bus.message import Event, Message
from bus.service import ApplyMany, Effect, Given, Schedule, Service
from tests.handlers.scenario import NOON

NOBODY = UUID(int=1)


@dataclass
class Hearing:
    service: Service
    connection: Connection
    log: list[Event] = field(default_factory=list)  # every event heard or said, in order
    timers: dict[str, Schedule] = field(default_factory=dict)  # what it asked itself to be asked later

    async def hears(
        self, message: Message, *, by: str = "service:test", at: datetime = NOON, id_: UUID = NOBODY
    ) -> tuple[Event, ...]:
        """What the service says to a message; a refusal is raised, and nothing is written then."""
        async with self.connection.transaction():
            others: list[Event] = []
            if isinstance(message, Event) and type(message) in self.service.projects:
                others.append(message)  # its own it has applied when it said them
                await self._apply(message)
            said: Sequence[Effect] = ()
            row = self.service.row(type(message))
            if row is not None and row.decide is not None:
                state = None if row.load is None else await row.load(self.connection, message)
                said = row.decide(state, message, Given(at=at, id=id_, correlation=id_, actor=by))
                for effect in said:
                    if isinstance(effect, Event):
                        await self._apply(effect)
        events = tuple(effect for effect in said if isinstance(effect, Event))
        self.log += [*others, *events]
        self.timers |= {effect.key: effect for effect in said if isinstance(effect, Schedule)}
        return events

    async def replay(self, events: Sequence[Event]) -> None:
        async with self.connection.transaction():
            for event in events:
                await self._apply(event)

    async def _apply(self, event: Event) -> None:
        apply = self.service.applies.get(type(event))
        assert not isinstance(apply, ApplyMany)
        if apply is not None:
            await apply(self.connection, event)


async def rows(connection: Connection, schema: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a schema's tables, each table in a fixed order."""
    tables = await connection.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'", schema
    )
    return {
        name: [tuple(row) for row in await connection.fetch(f"SELECT t.* FROM {schema}.{name} AS t ORDER BY t::text")]
        for (name,) in tables
    }


async def empty(connection: Connection, schema: str) -> None:
    for name in await rows(connection, schema):
        await connection.execute(f"TRUNCATE {schema}.{name} CASCADE")
