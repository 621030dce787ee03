"""How fast the log takes events by the thousand, as a service appends them after a batch."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bench.append import PLAIN_LOG
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database, registered
from bus.connection import Connection
from bus.identity import uuid7
from bus.outbox import Outbox, Said
from handlers.booking.events import SessionStarted
from handlers.wiring import SERVICES
from ops.settings import Settings

TOGETHER: Final = 1_000
WRITER: Final = "booking"
STARTED_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
COLUMNS: Final = (
    *("topic", "partition", "schema", "producer", "id", "correlation", "revision", "at", "name", "stream", "actor"),
    "body",
)

Append = Callable[[Connection, Sequence[SessionStarted]], Awaitable[None]]


async def append_bulk(server: Settings, size: Size, tell: Tell) -> Measured:
    """Events of as many bookings through bus.append, beside COPY of the same rows into a table with its indexes."""
    tell("making a database", 0, 1)
    service = SERVICES[WRITER]()
    async with (
        database(server, "bulk") as log,
        connected(log.dsn(WRITER)) as connection,
        registered(log, WRITER, service.may_append) as producer,
    ):
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
        outbox = Outbox(service, producer)

        async def append(connection: Connection, events: Sequence[SessionStarted]) -> None:
            await outbox.append(connection, [Said(one, "service:bench", one.booking, None) for one in events])

        ours, baseline = await in_turns(
            size.rounds, partial(_rate, connection, append, size), partial(_rate, connection, _copy, size), tell
        )
    return Measured(ours, baseline, {"events_in_a_commit": TOGETHER, "connections": 1, "seconds": size.seconds})


async def _rate(connection: Connection, append: Append, size: Size, _number: int) -> float:
    """Events a second, of which only the writing counts and not their making."""
    written, spent_s = 0, 0.0
    while spent_s < size.seconds:
        events = [_event() for _ in range(TOGETHER)]
        began_s = time.perf_counter()
        async with connection.transaction():
            await append(connection, events)
        spent_s += time.perf_counter() - began_s
        written += len(events)
    return written / spent_s


async def _copy(connection: Connection, events: Sequence[SessionStarted]) -> None:
    await connection.copy_records_to_table(
        "log", schema_name="plain", columns=COLUMNS, records=[_record(one) for one in events]
    )


def _record(event: SessionStarted) -> tuple[Any, ...]:
    return (
        *("domain", 0, event.version, 0, uuid7(), event.booking, 1, STARTED_AT, event.name, event.stream),
        *("service:bench", event.model_dump_json()),
    )


def _event() -> SessionStarted:
    number = uuid7()
    return SessionStarted(
        booking=number, person=number, lane="lane-1", discipline="air-pistol-10m", started_at=STARTED_AT
    )
