"""The reading process of `firingline bench consume`: a real consumer whose handler does nothing, or a plain fetch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from asyncpg import Record

from bench.child import Answer, serve
from bus.connection import Connection, close_pool, connect_pool
from bus.consumer import Consumer
from bus.desk import Desk
from bus.identity import uuid7
from bus.membership import Membership
from bus.message import Event
from bus.outbox import Outbox
from bus.producer import Registration, ServiceToken
from bus.reading import MESSAGE_COLUMNS
from bus.service import Effect, Given, Hears, Service
from bus.tasks import running
from bus.trust import Trust
from bus.worker import own_connection
from handlers.stats.events import CommandFailed, CommandRejected, ShotRecorded
from ops.service_tokens import Statements
from ops.settings import Settings

ROLE: Final = "stats"
TOGETHER: Final = 1_000


async def consuming(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Goes through the whole log once, and says how long that took."""
    side = _consume if asked["side"] == "worker" else _fetch
    say({"seconds": await side(settings, asked["round"], asked["events"])})


def hears(name: str, event: type[Event], handle: Callable[[Event, Given], None]) -> Service:
    """A service that hears one event, and has nothing to say to it."""

    def decide(_state: None, message: Event, given: Given) -> Sequence[Effect]:
        handle(message, given)
        return []

    return Service(
        name=name,
        hears=[Hears(event, None, decide)],
        says=[],
        applies={},
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
    )


async def _consume(settings: Settings, number: int, events: int) -> float:
    """What a worker does with all partitions, from its first look at the log until the last batch is committed."""
    handled = 0

    def count(_event: Event, _given: Given) -> None:
        nonlocal handled
        handled += 1

    service = hears(f"{ROLE}/round-{number}", ShotRecorded, count)
    dsn = settings.dsn(ROLE)
    pool = await connect_pool(dsn, "bench/pool", most=2)
    try:
        async with (
            own_connection(dsn, "bench/heartbeat") as heartbeat,
            own_connection(dsn, "bench/work") as connection,
        ):
            boot = uuid7()
            membership = Membership(heartbeat, service, boot)
            await membership.enter()
            outbox = Outbox(service, Registration(pool, boot, [], _says_nothing))
            consumer = Consumer(
                Desk(service, connection, membership, outbox, _no_ring),
                Trust(Statements(pool).verify),
            )
            async with running(membership.keep(asyncio.Event(), _no_ring)):
                began_s = time.perf_counter()
                await consumer.open()
                while handled < events:
                    await consumer.step()
                return time.perf_counter() - began_s
    finally:
        await close_pool(pool)


async def _fetch(settings: Settings, _number: int, events: int) -> float:
    """The same rows with the same columns, and nothing else."""
    async with own_connection(settings.dsn(ROLE), "bench/work") as connection:
        began_s = time.perf_counter()
        fetched = position = 0
        while fetched < events:
            rows = await _next(connection, position)
            fetched += len(rows)
            position = rows[-1]["position"]
        return time.perf_counter() - began_s


async def _next(connection: Connection, position: int) -> list[Record]:
    return await connection.fetch(
        f"SELECT {MESSAGE_COLUMNS} FROM bus.outbox WHERE position > $1 ORDER BY position LIMIT {TOGETHER}",  # noqa: S608
        position,
    )


async def _says_nothing(boot: UUID, names: Sequence[str]) -> ServiceToken:
    raise AssertionError(boot, names)


def _no_ring() -> None:
    """Nothing was said that anybody should hear."""


if __name__ == "__main__":
    serve("bench-consuming", consuming)
