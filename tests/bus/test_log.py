"""The log: order, the horizon, and who may append."""

import asyncio
import random
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus import reading
from bus.identity import uuid7
from bus.outbox import Outbox, Said
from tests.bus import toy
from tests.database import Database

ALL = ["domain", "telemetry"]
CORRELATION = UUID(int=1)


async def read_all(connection: asyncpg.Connection, after: int = 0) -> reading.Batch:
    return await reading.read(connection, after, ALL, None, 10_000)


async def test_what_is_appended_is_read_in_order_with_its_envelope(booking, producer):
    await toy.append(booking, producer, toy.Added(tally="a", amount=1, command=UUID(int=2)), toy.Put(tally="a"))
    batch = await read_all(booking)
    first, second = batch.messages
    assert (first.name, first.stream, first.revision, first.topic) == ("booking.added", "tally:a", 1, "domain")
    assert (second.name, second.revision) == ("booking.put-off", 2)
    assert first.position < second.position == batch.covered
    assert toy.Added.read(first.schema, first.body).amount == 1


async def test_commands_take_no_revision(booking, producer):
    await toy.append(booking, producer, toy.Put(tally="a"), toy.Add(tally="a", amount=1), toy.Put(tally="a"))
    assert [one.revision for one in (await read_all(booking)).messages] == [1, None, 2]


async def test_nothing_above_an_open_append_is_read_and_nothing_is_lost(database: Database, booking, producer):
    slow = await database.connect("booking")
    async with slow.transaction():
        await Outbox(toy.toy(), producer).append(slow, [said("early")])
        await toy.append(booking, producer, toy.Put(tally="late"))
        meanwhile = await read_all(booking)
        assert meanwhile.messages == []
        assert meanwhile.unsettled
    after = await read_all(booking, meanwhile.covered)
    assert [one.stream for one in after.messages] == ["tally:early", "tally:late"]
    await slow.close()


async def test_an_append_that_rolls_back_to_a_savepoint_still_bounds_the_horizon(database: Database, booking, producer):
    """A rollback to a savepoint drops the lock; the next append in the same transaction must take it anew."""
    slow = await database.connect("booking")
    outbox = Outbox(toy.toy(), producer)
    async with slow.transaction():
        savepoint = slow.transaction()
        await savepoint.start()
        await outbox.append(slow, [said("undone")])
        await savepoint.rollback()
        await outbox.append(slow, [said("kept")])
        await toy.append(booking, producer, toy.Put(tally="late"))
        assert (await read_all(booking)).messages == []
    assert [one.stream for one in (await read_all(booking)).messages] == ["tally:kept", "tally:late"]
    await slow.close()


def said(tally: str) -> Said:
    return Said(toy.Put(tally=tally), "service:booking", CORRELATION, None)


async def test_a_row_written_past_the_append_function_is_bounded_too(database: Database, booking, producer):
    admin = await database.connect("postgres")
    insert = """
        INSERT INTO {} (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        VALUES ('domain', 0, 1, $1, uuidv7(), uuidv7(), now(), 'booking.put-off', 'tally:by-hand', 'x', '{{}}')
    """
    for table in ("bus.outbox", "bus.outbox_domain", "bus.outbox_domain_0"):
        async with admin.transaction():
            await admin.execute(insert.format(table), producer.id)
            await toy.append(booking, producer, toy.Put(tally="late"))
            assert (await read_all(booking)).unsettled, table
        assert not (await read_all(booking)).unsettled
    await admin.close()


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_the_log_is_read_in_read_committed_only(booking, isolation):
    with pytest.raises(asyncpg.ActiveSQLTransactionError, match="READ COMMITTED"):
        async with booking.transaction(isolation=isolation):
            await read_all(booking)


async def test_an_expired_producer_is_refused(booking):
    producer = await toy.register(booking, toy.NAMES, for_s=-1)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="expired"):
        await toy.append(booking, producer, toy.Put(tally="a"))


async def test_another_role_cannot_use_a_producer(database: Database, producer):
    armory = await database.connect("armory")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not registered for firingline_armory"):
        await toy.append(armory, producer, toy.Put(tally="a"))
    await armory.close()


async def test_a_producer_appends_only_the_names_it_registered(booking):
    producer = await toy.register(booking, ["booking.added"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"may not append booking\.put-off"):
        await toy.append(booking, producer, toy.Put(tally="a"))


async def test_the_events_of_a_stream_are_written_by_one_service(database: Database, booking, producer):
    await toy.append(booking, producer, toy.Put(tally="a"))
    armory = await database.connect("armory")
    intruder = await toy.register(armory, toy.NAMES)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="written by another service"):
        await toy.append(armory, intruder, toy.Put(tally="a"))
    await armory.close()


FORBIDDEN = [
    "INSERT INTO bus.outbox DEFAULT VALUES",
    "UPDATE bus.outbox SET actor = 'x'",
    "DELETE FROM bus.outbox",
    "TRUNCATE bus.outbox",
    "SELECT nextval('bus.outbox_position')",
    "UPDATE bus.progress SET to_position = 1",
    "DELETE FROM bus.outcome",
    "UPDATE bus.producer SET names = '{}'",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_advisory_lock_shared(1)",
    "SELECT bus.take_mark()",
]


@pytest.mark.parametrize("role", ["auth", "booking", "armory", "payment", "stats", "gateway", "analyst", "operator"])
async def test_no_role_can_change_the_log_or_stall_it(database: Database, role):
    connection = await database.connect(role)
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_a_transaction_that_holds_its_mark_too_long_is_ended(database: Database, booking, producer):
    admin = await database.connect("postgres")
    await admin.execute(
        "CREATE OR REPLACE FUNCTION bus.mark_limit() RETURNS interval LANGUAGE sql IMMUTABLE "
        "AS $$ SELECT interval '50 milliseconds' $$"
    )
    frozen = await database.connect("booking")
    transaction = frozen.transaction()
    await transaction.start()
    await Outbox(toy.toy(), producer).append(frozen, [said("frozen")])
    async with asyncio.timeout(5):
        while not (ended := await booking.fetch("SELECT role FROM bus.end_stale_marks()")):
            await asyncio.sleep(0.01)
    assert [row["role"] for row in ended] == ["firingline_booking"]
    async with asyncio.timeout(5):
        while (await read_all(booking)).unsettled:
            await asyncio.sleep(0.01)
    frozen.terminate()
    await admin.close()


# Nothing is lost, whatever writers do


async def writer(database: Database, producer: toy.FixedProducer, plan: list[tuple[int, str]], label: str) -> list[str]:
    """Appends with pauses between the append and the end; some transactions roll back, some connections die."""
    kept = []
    connection = await database.connect("booking")
    outbox = Outbox(toy.toy(), producer)
    for step, (pause_ms, ending) in enumerate(plan):
        stream = f"{label}-{step}"
        transaction = connection.transaction()
        await transaction.start()
        await outbox.append(connection, [said(stream)])
        await asyncio.sleep(pause_ms / 1000)
        if ending == "commit":
            await transaction.commit()
            kept.append(f"tally:{stream}")
        elif ending == "rollback":
            await transaction.rollback()
        else:
            connection.terminate()
            connection = await database.connect("booking")
    await connection.close()
    return kept


async def read_by_horizon(connection: asyncpg.Connection, done: asyncio.Event) -> list[str]:
    seen: list[str] = []
    cursor = 0
    while True:
        finished = done.is_set()
        batch = await reading.read(connection, cursor, ALL, None, 7)
        seen += [one.stream for one in batch.messages]
        cursor = max(cursor, batch.covered)
        if finished and not batch.behind and not batch.unsettled:
            return seen
        await asyncio.sleep(0)


async def read_naively(connection: asyncpg.Connection, done: asyncio.Event) -> list[str]:
    seen: list[str] = []
    cursor = 0
    while True:
        finished = done.is_set()
        rows = await connection.fetch(
            "SELECT position, stream FROM bus.outbox WHERE position > $1 ORDER BY position LIMIT 7", cursor
        )
        seen += [row["stream"] for row in rows]
        cursor = rows[-1]["position"] if rows else cursor
        if finished and not rows:
            return seen
        await asyncio.sleep(0)


async def run_writers(database: Database, producer, plans, read) -> tuple[list[str], list[str]]:
    done = asyncio.Event()
    reader_connection = await database.connect("booking")
    reader = asyncio.create_task(read(reader_connection, done))
    kept = await asyncio.gather(*(writer(database, producer, plan, str(uuid7())) for plan in plans))
    done.set()
    async with asyncio.timeout(20):
        seen = await reader
    await reader_connection.close()
    return [stream for part in kept for stream in part], [one for one in seen if one.startswith("tally:")]


PLANS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["commit"] * 6 + ["rollback", "die"])), min_size=3, max_size=8
    ),
    min_size=4,
    max_size=8,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=PLANS)
async def test_no_event_is_skipped_repeated_or_invented(database: Database, producer, plans):
    kept, seen = await run_writers(database, producer, plans, read_by_horizon)
    mine = {one for one in seen if one in set(kept)}
    assert mine == set(kept)
    assert len(seen) == len(set(seen))


async def loses(database: Database, producer, read) -> bool:
    for seed in range(20):
        chance = random.Random(seed)
        plans = [[(chance.randrange(7), "commit") for _ in range(8)] for _ in range(8)]
        kept, seen = await run_writers(database, producer, plans, read)
        if set(kept) - set(seen):
            return True
    return False


async def test_the_same_writers_make_a_naive_reader_lose_events(database: Database, producer):
    """The property above can fail: a reader that only remembers its last position does."""
    assert await loses(database, producer, read_naively)


async def test_without_the_mark_the_reader_by_horizon_loses_events_too(database: Database, producer):
    admin = await database.connect("postgres")
    await admin.execute(
        "CREATE OR REPLACE FUNCTION bus.take_mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    await admin.close()
    assert await loses(database, producer, read_by_horizon)


# Marks and partitions


async def test_a_batch_that_worked_for_long_and_has_only_now_taken_its_mark_is_left_alone(
    database: Database, booking, producer
):
    admin = await database.connect("postgres")
    await admin.execute(
        "CREATE OR REPLACE FUNCTION bus.mark_limit() RETURNS interval LANGUAGE sql IMMUTABLE "
        "AS $$ SELECT interval '700 milliseconds' $$"
    )
    slow = await database.connect("booking")
    async with slow.transaction():
        await slow.execute("SELECT pg_sleep(0.8)")
        await Outbox(toy.toy(), producer).append(slow, [said("late")])
        assert await booking.fetch("SELECT * FROM bus.end_stale_marks()") == []
    assert [one.stream for one in (await read_all(booking)).messages] == ["tally:late"]
    for connection in (slow, admin):
        await connection.close()


async def test_whoever_extends_the_log_at_the_same_time_finds_it_extended(database: Database, booking, producer):
    admin = await database.connect("postgres")
    await admin.execute("SELECT setval('bus.outbox_position', bus.partition_span() * 40)")
    others = [await database.connect(role) for role in ("auth", "booking", "armory", "payment", "stats", "gateway")]
    made = await asyncio.gather(*(one.fetchval("SELECT bus.extend_log(3)") for one in others))
    assert sorted(made) == [0] * 5 + [8]
    await toy.append(booking, producer, toy.Put(tally="a"))
    far = await booking.fetchval("SELECT bus.partition_span() * 40")
    assert [one.stream for one in (await read_all(booking, far)).messages] == ["tally:a"]
    for connection in (*others, admin):
        await connection.close()
