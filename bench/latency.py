"""How soon a service in another process has an event that was committed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

from bench.append import PLAIN_LOG
from bench.child import child
from bench.figures import Measured, Size, Tell, in_turns, percentile
from bench.ground import connected, database, registered
from bench.hearing import CHANNEL, last_of
from bus.bell import Ringer
from bus.connection import Connection
from bus.identity import uuid7
from bus.outbox import Outbox, Said
from bus.tasks import running
from handlers.booking.events import SessionStarted
from handlers.wiring import SERVICES
from ops.settings import Settings

RATE: Final = 100
WRITER: Final = "booking"
STARTED_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)

Write = Callable[[Connection, SessionStarted], Awaitable[None]]
"""Writes an event in the transaction that is open."""


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


async def latency(server: Settings, size: Size, tell: Tell) -> Measured:
    """Events at a quiet pace through a Worker with its bell, beside NOTIFY in the transaction and a SELECT."""
    tell("making a database", 0, 1)
    async with database(server, "latency") as log:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
        ours, baseline = await in_turns(
            size.rounds, partial(_through_the_bus, log, size), partial(_through_notify, log, size), tell
        )
    details: dict[str, Any] = {"events_per_second": RATE, "seconds": size.seconds}
    for field in ("p99", "after_commit_p50", "after_commit_p99"):
        details[field] = round(median(getattr(one, field) for one in ours), 3)
        details[f"baseline_{field}"] = round(median(getattr(one, field) for one in baseline), 3)
    return Measured([one.p50 for one in ours], [one.p50 for one in baseline], details)


async def _through_the_bus(log: Settings, size: Size, number: int) -> Latency:
    service = SERVICES[WRITER]()
    ringer = Ringer(log.dsn(WRITER), "bench")
    async with registered(log, WRITER, service.may_append) as producer, running(ringer.run()):
        outbox = Outbox(service, producer)

        async def write(connection: Connection, event: SessionStarted) -> None:
            await outbox.append(connection, [Said(event, "service:bench", event.booking, None)])

        return await _measure(log, size, "worker", number, write, ringer.ring)


async def _through_notify(log: Settings, size: Size, number: int) -> Latency:
    async def write(connection: Connection, event: SessionStarted) -> None:
        await _insert(connection, event)
        await connection.execute(f"NOTIFY {CHANNEL}")

    return await _measure(log, size, "notify", number, write, lambda: None)


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
    log: Settings, size: Size, side: str, number: int, write: Write, after_commit: Callable[[], None]
) -> Latency:
    """Writes until the listener is there, then at the pace for the time; joins what both ends have noted."""
    async with connected(log.dsn(WRITER)) as connection, child("bench.hearing", log) as listener:
        stretch = f"{side}-{number}"
        listener.ask(side=side, stretch=stretch)
        heard = asyncio.ensure_future(listener.answer())
        sent: dict[UUID, Sent] = {}

        async def send(lane: str) -> None:
            event = _event(lane)
            transaction = connection.transaction()
            await transaction.start()
            await write(connection, event)
            committing_ns = time.monotonic_ns()
            await transaction.commit()
            sent[event.booking] = Sent(committing_ns, time.monotonic_ns())
            after_commit()

        async for _ in _ticks():
            if heard.done():
                break
            await send(stretch)
        sent.clear()
        async for tick in _ticks():
            if tick >= max(10, size.seconds * RATE):
                break
            await send(stretch)
        await send(last_of(stretch))
        assert heard.result() == {"ready": True}
        arrived = (await listener.answer())["arrived"]
    return _joined(sent, {UUID(booking): moment_ns for booking, moment_ns in arrived})


def _joined(sent: dict[UUID, Sent], arrived: dict[UUID, int]) -> Latency:
    whole = [(arrived[booking] - moment.committing_ns) / 1e6 for booking, moment in sent.items()]
    after = [(arrived[booking] - moment.committed_ns) / 1e6 for booking, moment in sent.items()]
    return Latency(percentile(whole, 50), percentile(whole, 99), percentile(after, 50), percentile(after, 99))


async def _ticks() -> AsyncIterator[int]:
    """0, 1, 2 … at the pace, each a little early or late, so that no two clocks can fall into step."""
    loop = asyncio.get_running_loop()
    began_s, tick = loop.time(), 0
    while True:
        await asyncio.sleep(began_s + (tick + random.uniform(0, 0.8)) / RATE - loop.time())
        yield tick
        tick += 1


def _event(lane: str) -> SessionStarted:
    number = uuid7()
    return SessionStarted(booking=number, person=number, lane=lane, discipline="air-pistol-10m", started_at=STARTED_AT)
