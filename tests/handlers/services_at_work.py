"""All five services at work in one process, without HTTP: commands in, events out, over a real log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bus.connection import Pool, close_pool, connect_pool
from bus.group_commit import Asked, GroupCommit
from bus.identity import uuid7
from bus.message import Command, Event
from bus.outbox import Outbox
from bus.outcomes import Outcome, Outcomes
from bus.producer import Registration, ServiceToken
from bus.service import Service
from bus.tasks import running
from bus.trust import Trust
from bus.worker import Worker
from handlers.wiring import SERVICES, may_append
from tests.database import Database

WAIT_S = 20.0


class Trusting(Trust):
    """Takes every producer's word: who may say what is tested with the bus and with auth."""

    async def strangers(self, connection: Any, envelopes: Any) -> list[Any]:
        del connection, envelopes
        return []


async def unsigned(boot: UUID, names: Any) -> ServiceToken:
    del boot, names
    now = datetime.now(UTC)
    return ServiceToken("unsigned", uuid7(), now, now + timedelta(minutes=59))


@dataclass
class AtWork:
    """Services at work; `ask` sends a command as somebody and waits for its outcome."""

    database: Database
    gate: GroupCommit
    outcomes: Outcomes
    outboxes: dict[str, Outbox]
    pools: dict[str, Pool]

    async def ask(self, command: Command, actor: str, *, number: UUID | None = None) -> Outcome:
        number = number or uuid7()
        await self.gate.accept(Asked(number, b"", number, command, actor))
        outcome = await self.outcomes.wait(number, WAIT_S)
        assert outcome is not None, f"{command.name} had no outcome within {WAIT_S} s"
        return outcome

    async def say(self, service: str, *events: Event) -> None:
        """Lets a service tell what begins outside the log."""
        async with self.pools[service].acquire() as connection, connection.transaction():
            await self.outboxes[service].say(connection, events, actor=f"service:{service}", correlation=uuid7())

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        connection = await self.database.connect("postgres")
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def until(self, statement: str, *arguments: Any) -> Any:
        """Waits for a query to answer with something."""
        async with asyncio.timeout(WAIT_S):
            while True:
                rows = await self.fetch(statement, *arguments)
                if rows and rows[0][0]:
                    return rows[0][0]
                await asyncio.sleep(0.02)


@asynccontextmanager
async def at_work(database: Database, *, without: frozenset[str] = frozenset()) -> AsyncIterator[AtWork]:
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        outboxes: dict[str, Outbox] = {}
        pools: dict[str, Pool] = {}
        names = [name for name in SERVICES if name not in without]
        workers = [await _worker(stack, database, name, outboxes, pools) for name in names]
        gate_pool = await connect_pool(database.url("gateway"), "gate", most=8)
        stack.push_async_callback(close_pool, gate_pool)
        registration = Registration(gate_pool, uuid7(), may_append()["gateway"], unsigned)
        await registration.register()
        gate = GroupCommit(gate_pool, registration, workers[0].ringer.ring)
        outcomes = Outcomes(gate_pool, workers[0].bell)
        async with running(*(worker.run(stopping) for worker in workers), gate.run(stopping), outcomes.run()):
            yield AtWork(database, gate, outcomes, outboxes, pools)


async def _worker(
    stack: AsyncExitStack, database: Database, name: str, outboxes: dict[str, Outbox], pools: dict[str, Pool]
) -> Worker:
    service: Service = SERVICES[name]()
    pool = await connect_pool(database.url(name), f"{name}/pool", most=3)
    stack.push_async_callback(close_pool, pool)
    boot = uuid7()
    registration = Registration(pool, boot, service.may_append, unsigned)
    await registration.register()
    outboxes[name], pools[name] = Outbox(service, registration), pool
    return Worker(service, database.url(name), pool, boot, registration, Trusting(_nobody), outboxes[name])


async def _nobody(token: str) -> None:
    del token
