"""Whether a long log is slower than a short one: commands taken, and the newest messages read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any, Final

from bench.append import ACCEPT
from bench.figures import Measured, Size, Tell, all_in_turns
from bench.ground import connected, database, registered
from bench.pgbench import CLIENTS, transactions_per_second
from bus.connection import Connection
from bus.reading import MESSAGE_COLUMNS, read
from handlers.wiring import may_append
from ops.settings import Settings

TIMES: Final = 100  # how many times as long the long log is
FILL: Final = 100_000
TOGETHER: Final = 1_000
AHEAD: Final = 3


async def growth(server: Settings, size: Size, tell: Tell) -> Measured:
    """Single commands through bus.accept_new and reads of the newest, in a long log beside a short one."""
    short = max(TOGETHER, size.grown // TIMES)
    tell("making two databases", 0, 1)
    async with database(server, "long") as grown, database(server, "short") as small:
        for log, events in ((grown, size.grown), (small, short)):
            await _fill(log, events, tell)
        sides = [partial(_accept, log, size) for log in (grown, small)]
        sides += [partial(_read, log, short) for log in (grown, small)]
        ours, baseline, reading, baseline_reading = await all_in_turns(size.rounds, sides, tell)
        touched = await _partitions_touched(grown)
    details: dict[str, Any] = {"events": size.grown, "baseline_events": short, "connections": CLIENTS}
    details |= {"read_per_second": round(median(reading)), "baseline_read_per_second": round(median(baseline_reading))}
    details |= {"read_ratio": round(median(reading) / median(baseline_reading), 3), "partitions_touched": touched}
    return Measured(ours, baseline, details)


async def _fill(log: Settings, events: int, tell: Tell) -> None:
    async with registered(log, "gateway", may_append()["gateway"]) as producer, connected(log.admin_url) as admin:
        for first in range(0, events, FILL):
            tell("filling the log", first, events)
            await admin.execute("SELECT bus.extend_log($1)", AHEAD)
            await _insert(admin, producer.id, min(FILL, events - first))
        await admin.execute("VACUUM (ANALYZE) bus.outbox")


async def _insert(admin: Connection, producer: int, events: int) -> None:
    await admin.execute(
        """
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        SELECT 'domain', n & 63, 1, $1, uuidv7(), uuidv7(), clock_timestamp(), 'booking.book-session',
               'booking:' || n || '-' || random(), 'person:' || n, jsonb_build_object('lane', 'lane-1', 'rounds', n)
        FROM generate_series(1, $2) AS n
        """,
        producer,
        events,
        timeout=None,
    )


async def _accept(log: Settings, size: Size, _number: int) -> float:
    async with registered(log, "gateway", may_append()["gateway"]) as producer:
        return await transactions_per_second(log.dsn("gateway"), ACCEPT, size.seconds, {"producer": producer.id})


async def _read(log: Settings, events: int, _number: int) -> float:
    """The newest events, as a consumer that is nearly there reads them."""
    async with connected(log.dsn("stats")) as connection:
        last: int = await connection.fetchval("SELECT bus.horizon()")
        began_s, seen, position = time.perf_counter(), 0, last - events
        while position < last:
            batch = await read(connection, position, ["domain"], None, TOGETHER)
            seen, position = seen + len(batch.messages), batch.covered
        return seen / (time.perf_counter() - began_s)


async def _partitions_touched(log: Settings) -> int:
    """From how many partitions the newest messages come, by EXPLAIN."""
    async with connected(log.admin_url) as admin:
        last = await admin.fetchval("SELECT last_value FROM bus.outbox_position")
        plan = await admin.fetchval(
            f"""
            EXPLAIN (ANALYZE, FORMAT JSON) SELECT {MESSAGE_COLUMNS} FROM bus.outbox
            WHERE position > {last - TOGETHER} AND position <= {last} AND topic = ANY ('{{domain}}')
            ORDER BY position LIMIT {TOGETHER}
            """  # noqa: S608 - numbers of the bench
        )
    return len({node["Relation Name"] for node in _nodes(json.loads(plan)[0]["Plan"]) if "Relation Name" in node})


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is executed of a plan."""
    if plan["Actual Loops"]:
        yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
