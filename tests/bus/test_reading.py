"""Reading: in bounded steps, through the index, whatever the log's length."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from bus import reading
from tests.bus import toy
from tests.bus.test_consumer import adds, at_work

ROWS = 30_000


async def fill(admin: asyncpg.Connection, *, rows: int = ROWS) -> None:
    """A log in which one message in ten is of the domain."""
    await admin.execute(
        """
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        SELECT (CASE WHEN n % 10 = 0 THEN 'domain' ELSE 'telemetry' END)::bus.topic, 0, 1, 1, uuidv7(), uuidv7(), now(),
               'booking.name-' || n % 100, 'tally:' || n, 'x', '{}'
        FROM generate_series(1, $1::integer) AS n
        """,
        rows,
    )
    await admin.execute("VACUUM ANALYZE bus.outbox")


@asynccontextmanager
async def explained(admin: asyncpg.Connection) -> AsyncIterator[list[dict[str, Any]]]:
    """The plans of what is run inside, functions' statements included."""
    plans: list[dict[str, Any]] = []

    def take(_connection: object, message: Any) -> None:
        _, _, plan = message.message.partition("plan:\n")
        if plan:
            plans.append(json.loads(plan))

    for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_format = json", "log_level = notice"):
        await admin.execute(f"LOAD 'auto_explain'; SET auto_explain.{setting}")
    admin.add_log_listener(take)
    yield plans
    await admin.execute("SET auto_explain.log_min_duration = -1")
    admin.remove_log_listener(take)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_a_read_goes_by_position_through_the_right_partitions_index(database, planned):
    admin = await database.connect("postgres")
    await fill(admin)
    head = await admin.fetchval("SELECT last_value FROM bus.outbox_position")
    await admin.execute(f"SET plan_cache_mode = {planned}")
    for names in (["booking.name-10"], ["booking.unheard-of"], None):
        async with explained(admin) as plans:
            await reading.read(admin, head - 2000, ["domain"], names, 100)
        [plan] = [one["Plan"] for one in plans if "FROM bus.outbox AS o" in one["Query Text"]]
        run = [node for node in nodes(plan) if "Relation Name" in node and node.get("Actual Loops", 1)]
        assert run, plan
        assert {node["Relation Name"] for node in run if node["Relation Name"].startswith("outbox_domain")} == {
            "outbox_domain_0"
        }
        searched = [node for node in run if node["Relation Name"] == "outbox_domain_0"]
        assert [node["Node Type"] for node in searched] == ["Index Scan"]
        assert "position" in searched[0]["Index Cond"]
    await admin.close()


async def test_the_end_of_a_long_log_is_read_as_quickly_as_its_beginning(database):
    """Counted in pages, not in seconds."""
    admin = await database.connect("postgres")
    await fill(admin)
    head = await admin.fetchval("SELECT last_value FROM bus.outbox_position")

    async def pages(after: int) -> int:
        await admin.execute("SELECT pg_stat_force_next_flush()")
        before = await admin.fetchval(PAGES)
        await reading.read(admin, after, ["domain"], None, 50)
        await admin.execute("SELECT pg_stat_force_next_flush()")
        return int(await admin.fetchval(PAGES) - before)

    await reading.read(admin, 0, ["domain"], None, 50)
    assert await pages(head - 2000) <= await pages(0) + 20
    await admin.close()


PAGES = """
    SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read, 0) + coalesce(idx_blks_hit, 0))
    FROM pg_statio_user_tables WHERE relname LIKE 'outbox_%'
"""


async def narrow(database, span: int) -> None:
    admin = await database.connect("postgres")
    await admin.execute(
        f"CREATE OR REPLACE FUNCTION bus.read_span() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT {span}::bigint'"
    )
    await admin.close()


async def test_few_names_from_far_back_are_read_in_bounded_steps_that_miss_nothing(database, booking, producer):
    await narrow(database, 7)
    wanted = []
    for number in range(40):
        await toy.append(booking, producer, toy.Put(tally="b") if number % 13 else adds(number)[0])
        wanted += [] if number % 13 else [number]
    cursor, seen, steps = 0, [], 0
    while True:
        batch = await reading.read(booking, cursor, ["domain"], ["booking.add"], 100)
        assert batch.covered - cursor <= 7
        seen += [toy.Add.read(1, one.body).amount for one in batch.messages]
        cursor, steps = batch.covered, steps + 1
        assert not batch.unsettled
        if not batch.behind:
            break
    assert seen == wanted
    assert steps >= 40 // 7


async def test_a_consumer_with_nothing_of_its_own_gets_to_the_end_and_writes_down_where_it_is(
    monkeypatch, database, booking, producer
):
    monkeypatch.setattr("bus.consumer.IDLE_PROGRESS_AFTER", 10)
    await narrow(database, 5)
    for _ in range(30):
        await toy.append(booking, producer, toy.Put(tally="b"))
    head = await booking.fetchval("SELECT last_value FROM bus.outbox_position")
    async with at_work(database, toy.toy(), producer) as consumer, asyncio.timeout(10):
        while await consumer.step():
            pass
        assert consumer.cursor == head
    assert await booking.fetchval("SELECT bus.cursor_of('booking')") > head - 10
