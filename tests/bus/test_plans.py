"""What the bus's functions read of large tables: what they need, by an index, and nothing else."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest

SHOTS = 30_000
BATCHES = 20_000


class Touched(NamedTuple):
    """What a statement read of one table."""

    scans: int  # of the whole table
    rows: int  # looked at, by whichever way


@pytest.fixture
async def admin(database) -> AsyncIterator[asyncpg.Connection]:
    """A log of one large span, and two workers of two consumers that have gone through most of it."""
    admin = await database.connect("postgres")
    await admin.execute(
        f"""
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        SELECT 'telemetry', n & 63, 1, 1, uuidv7(), uuidv7(), now(), 'booking.shot', 'x', 'x', '{{}}'
        FROM generate_series(1, {SHOTS}) AS n;
        INSERT INTO bus.progress
        SELECT c, m, n, n + 1, 0, 0, 1, now()
        FROM unnest(ARRAY['booking', 'stats']) AS c, unnest(ARRAY[x'5555555555555555'::bigint,
             x'aaaaaaaaaaaaaaaa'::bigint]) AS m, generate_series(0, {BATCHES - 1}) AS n;
        INSERT INTO bus.consumer VALUES ('booking', 1, 0, '{{telemetry}}', '{{booking.shot}}');
        ANALYZE bus.outbox, bus.progress;
        """
    )
    yield admin
    await admin.close()


async def touched(admin: asyncpg.Connection, statement: str) -> dict[str, Touched]:
    """What a statement reads, once its plans have settled."""
    for _ in range(7):
        await admin.fetch(statement)
    async with admin.transaction():
        before = await _counted(admin)
        await admin.fetch(statement)
        after = await _counted(admin)
    read = {name: Touched(*(a - b for a, b in zip(after[name], before[name], strict=True))) for name in after}
    return {name: one for name, one in read.items() if any(one)}


async def _counted(admin: asyncpg.Connection) -> dict[str, Touched]:
    rows = await admin.fetch(
        """
        SELECT relname, coalesce(seq_scan, 0) AS scans, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
        FROM pg_stat_xact_user_tables WHERE schemaname = 'bus'
        """
    )
    return {row["relname"]: Touched(row["scans"], row["rows"]) for row in rows}


@pytest.mark.parametrize("partitions", ["-1", "x'5555555555555555'::bigint"])
async def test_reading_on_looks_at_what_follows_in_one_partition_of_the_log(admin, partitions):
    read = await touched(
        admin,
        f"SELECT * FROM bus.read(20000, '{{telemetry,domain}}', '{{booking.shot}}', 100, {partitions}, NULL, 'x')",
    )
    assert read.keys() == {"outbox_telemetry_0"}, "and no other table, not even an empty one"
    assert read["outbox_telemetry_0"].scans == 0
    assert read["outbox_telemetry_0"].rows <= 2 * 100 + 1


async def test_where_a_consumer_stands_is_told_by_its_latest_rows(admin):
    read = await touched(admin, "SELECT bus.cursors_of('booking')")
    assert read.keys() == {"progress"}
    assert read["progress"].scans == 0
    assert read["progress"].rows <= 64


async def test_whether_it_is_past_a_position_is_seen_by_the_first_message_that_it_has_not_done(admin):
    read = await touched(admin, f"SELECT bus.is_past('booking', {SHOTS})")
    assert {name for name, one in read.items() if one.rows} <= {"progress", "consumer", "outbox_telemetry_0"}
    assert (read["outbox_telemetry_0"].scans, read["progress"].scans) == (0, 0)
    assert read["outbox_telemetry_0"].rows <= 64


async def test_a_sign_of_life_and_a_check_look_at_no_large_table(admin):
    for statement in (
        "SELECT bus.fair_share('booking', uuidv7())",
        "SELECT bus.at_work('booking')",
    ):
        assert (await touched(admin, statement)).keys() <= {"worker", "consumer"}


async def test_it_is_past_a_position_when_nothing_it_hears_lies_before_it_undone(admin, booking):
    """A partition in which nothing is for it keeps nobody waiting."""
    assert await booking.fetchval(f"SELECT bus.is_past('booking', {BATCHES})")
    assert not await booking.fetchval(f"SELECT bus.is_past('booking', {BATCHES + 2})")
    assert not await booking.fetchval("SELECT bus.is_past('booking', 1000000)"), "which nobody has been told of yet"
    assert not await booking.fetchval("SELECT bus.is_past('armory', 1)"), "whose workers have never been seen"
    await admin.execute("UPDATE bus.consumer SET names = '{booking.other}'")
    assert await booking.fetchval(f"SELECT bus.is_past('booking', {SHOTS})")
    await admin.execute("UPDATE bus.consumer SET names = '{booking.shot}'")
    await admin.execute("DELETE FROM bus.progress WHERE consumer = 'booking' AND partitions < 0 AND to_position > 1000")
    await admin.execute("UPDATE bus.outbox SET partition = partition & 62")
    assert await booking.fetchval(f"SELECT bus.is_past('booking', {BATCHES})"), "all is in what has gone on"
    await admin.execute("UPDATE bus.outbox SET partition = 1 WHERE position = 5000")
    assert not await booking.fetchval(f"SELECT bus.is_past('booking', {BATCHES})")
    assert await booking.fetchval("SELECT bus.is_past('booking', 4999)")
