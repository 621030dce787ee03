"""Stats in its worker over a real log, and what booking, the targets and clients tell it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from bus.connection import Pool, close_pool, connect_pool
from bus.group_commit import Asked, GroupCommit
from bus.identity import uuid7
from bus.message import Command, Event
from bus.outbox import Outbox
from bus.outcomes import Outcome, Outcomes
from bus.producer import Registration
from bus.service import Service
from bus.shots import record_shots
from bus.tasks import running
from handlers.booking.service import service as booking
from handlers.stats.events import ShotRecorded
from handlers.wiring import may_append
from tests.database import Database
from tests.handlers.services_at_work import WAIT_S, _worker, unsigned


@dataclass
class Range:
    """Stats at work, and what booking and the targets tell it."""

    database: Database
    booking: Pool
    gateway: Pool
    outbox: Outbox
    targets: Registration
    commands: GroupCommit
    outcomes: Outcomes
    ring: Callable[[], None]

    async def say(self, *events: Event) -> None:
        async with self.booking.acquire() as connection, connection.transaction():
            await self.outbox.say(connection, events, actor="service:booking", correlation=uuid7())
        self.ring()

    async def shoot(self, *shots: ShotRecorded) -> None:
        async with self.gateway.acquire() as connection, connection.transaction():
            await record_shots(connection, self.targets.id, list(shots), ["service:gateway"] * len(shots))
        self.ring()

    async def ask(self, command: Command, actor: str, number: UUID | None = None) -> Outcome:
        number = number or uuid7()
        await self.commands.accept(Asked(number, b"", number, command, actor))
        outcome = await self.outcomes.wait(number, WAIT_S)
        assert outcome is not None, f"{command.name} had no outcome within {WAIT_S} s"
        return outcome

    async def told(self, kind: type[Event], condition: str = "true") -> list[Event]:
        """The events of this kind in the log, once there is one that the condition holds for."""
        async with asyncio.timeout(WAIT_S):
            while True:
                rows = await self.gateway.fetch(
                    f"SELECT body, {condition} AS found FROM bus.outbox WHERE name = $1 ORDER BY position", kind.name
                )
                if any(row["found"] for row in rows):
                    return [kind.read(kind.version, row["body"]) for row in rows]
                await asyncio.sleep(0.02)


@asynccontextmanager
async def range_at_work(database: Database) -> AsyncIterator[Range]:
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        worker = await _worker(stack, database, "stats", {}, {})
        said_by = await connect_pool(database.url("booking"), "booking", most=2)
        shot_by = await connect_pool(database.url("gateway"), "gateway", most=4)
        stack.push_async_callback(close_pool, said_by)
        stack.push_async_callback(close_pool, shot_by)
        registration = Registration(said_by, uuid7(), booking().may_append, unsigned)
        targets = Registration(shot_by, uuid7(), may_append()["gateway"], unsigned)
        await registration.register()
        await targets.register()
        mute: Service = replace(booking(), applies={})  # its tables are no matter here
        commands = GroupCommit(shot_by, targets, worker.ringer.ring)
        outcomes = Outcomes(shot_by, worker.bell)
        async with running(worker.run(stopping), commands.run(stopping), outcomes.run()):
            yield Range(
                database, said_by, shot_by, Outbox(mute, registration), targets, commands, outcomes, worker.ringer.ring
            )
