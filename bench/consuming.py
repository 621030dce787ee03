"""The reading process of `firingline bench consume` and `consume-real`: a real consumer, or plain SQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from asyncpg import Record

from bench.child import Answer, serve
from bench.ground import registered
from bench.real_work import ShotKept, keep, keeper, kept
from bus.connection import Connection, close_pool, connect_pool
from bus.consumer import Consumer
from bus.desk import Desk
from bus.identity import uuid7
from bus.membership import Membership
from bus.message import Event
from bus.outbox import Outbox
from bus.reading import MESSAGE_COLUMNS
from bus.service import Effect, Given, Hears, Service
from bus.tasks import running
from bus.trust import Trust
from bus.worker import own_connection
from handlers.stats.events import CommandFailed, CommandRejected, ShotRecorded
from handlers.stats.service import service as stats
from ops.service_tokens import Statements
from ops.settings import Settings

ROLE: Final = "stats"
TOGETHER: Final = 1_000
INSERTED: Final = ("device", "epoch", "number", "lane", "kind", "miss", "x_um", "y_um", "received_at")


async def consuming(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Goes through the whole log once, and says how long that took."""
    number, events = asked["round"], asked["events"]
    match asked["side"]:
        case "worker":
            took_s = await _consume(settings, hears(_consumer(number), ShotRecorded, _nothing), events)
        case "keeper":
            took_s = await _consume(settings, keeper(_consumer(number)), events)
        case "stats":
            took_s = await _consume(settings, replace(stats(), name=_consumer(number), outside=()), events)
        case "insert":
            took_s = await _fetch(settings, events, _insert)
        case "fetch":
            took_s = await _fetch(settings, events, _look)
        case "statements":
            took_s = await _fetch(settings, events, _keep)
        case other:
            raise AssertionError(other)
    say({"seconds": took_s})


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


async def _consume(settings: Settings, service: Service, events: int) -> float:
    """What a worker does with all partitions, from its first look at the log until the last batch is committed."""
    handled = 0

    def count(messages: int, _took_s: float) -> None:
        nonlocal handled
        handled += messages

    dsn = settings.dsn(ROLE)
    pool = await connect_pool(dsn, "bench/pool", most=2)
    try:
        async with (
            own_connection(dsn, "bench/heartbeat") as heartbeat,
            own_connection(dsn, "bench/work") as connection,
            registered(settings, ROLE, service.may_append) as producer,
        ):
            membership = Membership(heartbeat, service, uuid7())
            await membership.enter()
            consumer = Consumer(
                Desk(service, connection, membership, Outbox(service, producer), _no_ring, count),
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


async def _fetch(settings: Settings, events: int, work: Callable[[Connection, list[Record]], Awaitable[None]]) -> float:
    """The same rows with the same columns, and the work on them, alone."""
    async with own_connection(settings.dsn(ROLE), "bench/work") as connection:
        began_s = time.perf_counter()
        fetched = position = 0
        while fetched < events:
            rows = await _next(connection, position)
            await work(connection, rows)
            fetched += len(rows)
            position = rows[-1]["position"]
        return time.perf_counter() - began_s


async def _next(connection: Connection, position: int) -> list[Record]:
    return await connection.fetch(
        f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox
        WHERE position > $1 AND topic = 'telemetry' ORDER BY position LIMIT {TOGETHER}
        """,  # noqa: S608
        position,
    )


async def _look(_connection: Connection, _rows: list[Record]) -> None:
    """They were fetched: that was all."""


async def _insert(connection: Connection, rows: list[Record]) -> None:
    """The shots of these rows into a plain table, in one statement and a transaction of its own."""
    shots = [ShotRecorded.model_validate_json(row["body"]) for row in rows]
    await connection.execute(
        """
        INSERT INTO plain.shot (device, epoch, number, lane, kind, miss, x_um, y_um, received_at, inner_ten)
        SELECT d, e, n, l, k, m, x, y, r, false
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::boolean[], $7::integer[],
                    $8::integer[], $9::timestamptz[]) AS s (d, e, n, l, k, m, x, y, r)
        """,
        *([getattr(shot, name) for shot in shots] for name in INSERTED),
    )


async def _keep(connection: Connection, rows: list[Record]) -> None:
    """The statements of the keeper's handler, one by one as there, and an INSERT for each event; then COMMIT."""
    async with connection.transaction():
        for row in rows:
            shot = ShotRecorded.model_validate_json(row["body"])
            await keep(connection, shot)
            await _say(connection, row, kept(shot))


async def _say(connection: Connection, row: Record, event: ShotKept) -> None:
    await connection.execute(
        """
        INSERT INTO plain.log (topic, partition, schema, producer, id, cause, correlation, at, name, stream, actor,
                               body)
        VALUES ('domain', 0, $1, 0, $2, $3, $4, clock_timestamp(), $5, $6, $7, $8)
        """,
        event.version,
        uuid7(),
        row["id"],
        row["correlation"],
        event.name,
        event.stream,
        row["actor"],
        event.model_dump_json(),
    )


def _consumer(number: int | str) -> str:
    """A consumer of its own for each round: it begins where the log does."""
    return f"{ROLE}/round-{number}"


def _nothing(_event: Event, _given: Given) -> None:
    """What the handler does."""


def _no_ring() -> None:
    """Nothing was said that anybody should hear."""


if __name__ == "__main__":
    serve("bench-consuming", consuming)
