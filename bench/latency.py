"""How soon a service in another process has an event that was committed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

from bench.append import PLAIN_LOG
from bench.child import Child, child, lent
from bench.figures import Beside, Measured, Size, Tell, all_in_turns, percentile
from bench.ground import connected, database, registered
from bench.hearing import CHANNEL, last_of
from bench.peers import GRAPHILE_WORKER, PGQUEUER, Peers, enqueuer, peers
from bus.bell import Ringer
from bus.connection import Connection
from bus.errors import Refusal
from bus.identity import uuid7
from bus.outbox import Outbox, Said
from bus.tasks import running
from handlers.booking.events import SessionStarted
from handlers.wiring import SERVICES
from ops.settings import Settings

WARM_UP_RATE: Final = 100
LEAST: Final = 10
WRITER: Final = "booking"
STARTED_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)

Write = Callable[[Connection, Sequence[SessionStarted], int], Awaitable[None]]
"""Writes events in the transaction that is open; the last one says as how many it comes, where that has to be told."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events a second, how many of them in a transaction, and over how many connections."""

    events_per_second: int
    together: int
    writers: int


QUIET: Final = Pace(100, 1, 1)
BUSY: Final = Pace(1_000, 1, 16)
FULL: Final = Pace(10_000, 10, 16)


class Sent(NamedTuple):
    """When an event's COMMIT was sent, and when it had returned; nanoseconds of the clock that all processes share."""

    committing_ns: int
    committed_ns: int


class Latency(NamedTuple):
    """Milliseconds to the handler, from the moment that COMMIT was sent, and from the moment that it had returned."""

    p50: float
    p99: float
    after_commit_p50: float
    after_commit_p99: float
    written_per_second: float
    missed: int


async def latency(server: Settings, size: Size, tell: Tell) -> Measured:
    """One event after the other, at a quiet pace: p50."""
    return await _latency(QUIET, "p50", server, size, tell)


async def latency_busy(server: Settings, size: Size, tell: Tell) -> Measured:
    """1,000 events a second, each in a transaction of its own: p99."""
    return await _latency(BUSY, "p99", server, size, tell)


async def latency_full(server: Settings, size: Size, tell: Tell) -> Measured:
    """10,000 events a second, ten in a transaction: p99."""
    return await _latency(FULL, "p99", server, size, tell)


async def _latency(pace: Pace, figure: str, server: Settings, size: Size, tell: Tell) -> Measured:
    """Events through a Worker with its bell, beside NOTIFY in the transaction and a SELECT, and beside the peers."""
    tell("making a database", 0, 1)
    async with database(server, "latency") as log, peers(log, [PGQUEUER, GRAPHILE_WORKER]) as others:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
        sides = [partial(_through_the_bus, log, pace, size), partial(_through_notify, log, pace, size)]
        sides += [partial(_through_a_queue, log, pace, size, others, name) for name in others.running]
        ours, baseline, *theirs = await all_in_turns(size.rounds, sides, tell)
    if any(one.missed for one in ours):
        raise Refusal("Events did not arrive: that must not be.")
    details: dict[str, Any] = {"seconds": size.seconds, "events_in_a_commit": pace.together, "writers": pace.writers}
    details["baseline_missed"] = sum(one.missed for one in baseline)
    for field in ("p50", "p99", "after_commit_p50", "after_commit_p99", "written_per_second"):
        details[field] = _median(field, ours)
        details[f"baseline_{field}"] = _median(field, baseline)
    return Measured(
        [getattr(one, figure) for one in ours],
        [getattr(one, figure) for one in baseline],
        details,
        _beside(others, figure, theirs),
    )


def _beside(others: Peers, figure: str, theirs: Sequence[Sequence[Latency]]) -> dict[str, Beside]:
    return others.beside([[getattr(one, figure) for one in rounds] for rounds in theirs])


def _median(field: str, rounds: Sequence[Latency]) -> float:
    middle: float = median(getattr(one, field) for one in rounds)
    return round(middle, 3)


async def _through_the_bus(log: Settings, pace: Pace, size: Size, number: int) -> Latency:
    service = SERVICES[WRITER]()
    ringer = Ringer(log.dsn(WRITER), "bench")
    async with registered(log, WRITER, service.may_append) as producer, running(ringer.run()):
        outbox = Outbox(service, producer)

        async def write(connection: Connection, events: Sequence[SessionStarted], _of: int) -> None:
            await outbox.append(connection, [Said(one, "service:bench", one.booking, None) for one in events])

        listener = child("bench.hearing", log)
        return await _measure(log.dsn(WRITER), pace, size, listener, f"worker-{number}", write, ringer.ring)


async def _through_notify(log: Settings, pace: Pace, size: Size, number: int) -> Latency:
    async def write(connection: Connection, events: Sequence[SessionStarted], _of: int) -> None:
        for event in events:
            await _insert(connection, event)
        await connection.execute(f"NOTIFY {CHANNEL}")

    listener = child("bench.hearing", log)
    return await _measure(log.dsn(WRITER), pace, size, listener, f"notify-{number}", write, lambda: None)


async def _through_a_queue(log: Settings, pace: Pace, size: Size, others: Peers, name: str, number: int) -> Latency:
    enqueue = enqueuer(name)

    async def write(connection: Connection, events: Sequence[SessionStarted], of: int) -> None:
        told = [{"booking": str(one.booking), "lane": one.lane, "of": of} for one in events]
        await enqueue(connection, "note", [json.dumps(one).encode() for one in told])

    listener = lent(others.running[name])
    return await _measure(log.admin_url, pace, size, listener, f"queue-{number}", write, lambda: None)


async def _insert(connection: Connection, event: SessionStarted) -> None:
    await connection.execute(
        """
        INSERT INTO plain.log (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        VALUES ('domain', 0, $1, 0, $2, $3, clock_timestamp(), $4, $5, 'service:bench', $6)
        """,
        event.version,
        uuid7(),
        event.booking,
        event.name,
        event.stream,
        event.model_dump_json(),
    )


async def _measure(
    dsn: str,
    pace: Pace,
    size: Size,
    listening: AbstractAsyncContextManager[Child],
    stretch: str,
    write: Write,
    after_commit: Callable[[], None],
) -> Latency:
    """Writes until the listener is there, then at the pace for the time; joins what both ends have noted."""
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening)
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(pace.writers):
            free.put_nowait(await stack.enter_async_context(connected(dsn)))
        listener.ask(do="hear", side=stretch.partition("-")[0], stretch=stretch)
        heard = asyncio.ensure_future(listener.answer())
        sent: dict[UUID, Sent] = {}
        written = 0

        async def send(lane: str, together: int, of: int = 0) -> None:
            nonlocal written
            events = [_event(lane) for _ in range(together)]
            connection = await free.get()
            transaction = connection.transaction()
            await transaction.start()
            await write(connection, events, of)
            committing_ns = time.monotonic_ns()
            await transaction.commit()
            moment = Sent(committing_ns, time.monotonic_ns())
            sent.update((one.booking, moment) for one in events)
            written += together
            after_commit()
            free.put_nowait(connection)

        async for _ in _ticks(WARM_UP_RATE):
            if heard.done():
                break
            await send(stretch, 1)
        sent.clear()
        rate = pace.events_per_second / pace.together
        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as sending:
            async for tick in _ticks(rate):
                if tick >= max(LEAST, size.seconds * rate):
                    break
                sending.create_task(send(stretch, pace.together))
        took_s = time.perf_counter() - began_s
        measured = dict(sent)
        await send(last_of(stretch), 1, written + 1)
        assert heard.result() == {"ready": True}
        arrived = (await listener.answer())["arrived"]
    return _joined(measured, {UUID(booking): moment_ns for booking, moment_ns in arrived}, took_s)


def _joined(sent: dict[UUID, Sent], arrived: dict[UUID, int], took_s: float) -> Latency:
    seen = [(arrived[booking], moment) for booking, moment in sent.items() if booking in arrived]
    whole = [(at_ns - moment.committing_ns) / 1e6 for at_ns, moment in seen]
    after = [(at_ns - moment.committed_ns) / 1e6 for at_ns, moment in seen]
    return Latency(
        percentile(whole, 50),
        percentile(whole, 99),
        percentile(after, 50),
        percentile(after, 99),
        len(sent) / took_s,
        len(sent) - len(seen),
    )


async def _ticks(rate: float) -> AsyncIterator[int]:
    """0, 1, 2 … at the pace, each a little early or late, so that no two clocks can fall into step."""
    loop = asyncio.get_running_loop()
    began_s, tick = loop.time(), 0
    while True:
        await asyncio.sleep(began_s + (tick + random.uniform(0, 0.8)) / rate - loop.time())
        yield tick
        tick += 1


def _event(lane: str) -> SessionStarted:
    number = uuid7()
    return SessionStarted(booking=number, person=number, lane=lane, discipline="air-pistol-10m", started_at=STARTED_AT)
