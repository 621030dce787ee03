"""Retention: what is over goes as a whole, what somebody needs stays, and writing goes on meanwhile."""

import asyncio
import time

import pytest

from bus import maintenance, retention
from bus.connection import is_passing
from bus.desk import Desk
from bus.errors import Refusal
from bus.group_commit import GroupCommit, accept_all
from bus.identity import uuid7
from bus.maintenance import Maintenance
from bus.membership import Membership
from bus.outbox import Outbox
from tests.bus import toy
from tests.bus.test_consumer import _is, adds, amounts, at_work, until

SPAN = 4_194_304
DAYS = 100
STREAM = "SELECT stream FROM bus.outbox ORDER BY position"


@pytest.fixture
async def admin(database, producer, gateway, gate):
    """A log of two spans: old commands, done, their answers in the first; the second is written now."""
    admin = await database.connect("postgres")
    await accept_all(gateway, gate.id, [toy.asked("a", n) for n in (1, 2)])
    await at_the_end(database, producer, [1, 2])
    await admin.execute("UPDATE bus.outbox SET at = at - interval '200 days'")
    await admin.execute("UPDATE bus.accepted SET at = at - interval '200 days'")
    await admin.execute(f"SELECT setval('bus.outbox_position', {SPAN + 5})")
    await admin.execute("SELECT bus.extend_log(3)")
    for n in (3, 4):
        await accept_all(gateway, gate.id, [toy.asked("a", n)])
        await at_the_end(database, producer, list(range(1, n + 1)))
    yield admin
    await admin.close()


async def at_the_end(database, producer, wanted):
    """Booking has handled all there is, and written down that it has."""
    connection = await database.connect("booking")
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is(wanted, amounts(connection)))
        while await consumer.step():
            pass
        await consumer.write_progress()
    await connection.close()


async def declare(database, what="domain", days: int | None = DAYS):
    operator = await database.connect("operator")
    await operator.execute("SELECT bus.set_retention($1, $2)", what, days)
    await operator.close()


async def drop(connection) -> str | None:
    return await retention.drop_oldest(connection, "domain", ["booking"])


async def spans(connection) -> list[int]:
    return [row["span"] for row in await connection.fetch("SELECT span FROM bus.spans_of('domain')")]


async def test_a_span_that_is_over_goes_with_its_outcomes_and_keys_and_the_rest_stays(database, booking, admin):
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox") == 8
    await declare(database)
    assert await drop(booking) is None
    assert "is kept" in (await drop(booking) or "")
    assert await retention.forget_dropped(booking) == 1
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox") == 4
    assert await admin.fetchval("SELECT count(*) FROM bus.outcome") == 2
    assert await admin.fetchval("SELECT count(*) FROM bus.accepted") == 2
    assert await admin.fetchval("SELECT to_regclass('bus.outbox_domain_0')") is None
    row = await booking.fetchrow("SELECT topic, from_position, to_position, messages, names FROM bus.dropped")
    assert tuple(row) == ("domain", 0, SPAN - 1, 4, '{"booking.add": 2, "booking.added": 2}')
    assert await booking.fetchval("SELECT max(revision) FROM bus.outbox") == 4


@pytest.mark.usefixtures("admin")
async def test_what_is_not_declared_is_kept_for_ever(booking):
    assert "is kept" in (await drop(booking) or "")
    assert await maintenance.tidy(booking, ["booking"]) == ["accepted: 2 keys forgotten"]
    assert 0 in await spans(booking)


@pytest.mark.usefixtures("admin")
async def test_what_is_younger_than_declared_is_kept(database, booking):
    await declare(database, days=300)
    assert "is kept" in (await drop(booking) or "")


async def test_the_span_that_is_written_to_is_kept_however_old(database, booking, admin):
    await declare(database)
    assert await drop(booking) is None
    await admin.execute("UPDATE bus.outbox SET at = at - interval '200 days'")
    assert "still written to" in (await drop(booking) or "")


HOLDERS = {
    "payment has not passed it": ("SELECT 1", "SELECT 1"),
    "booking has not passed it": (
        "UPDATE bus.progress SET consumer = 'was-booking'",
        "UPDATE bus.progress SET consumer = 'booking'",
    ),
    "booking has parked tally:a there": (
        """
        INSERT INTO bus.parked (consumer, stream, head, last, attempts, retry_at, cause, error)
        VALUES ('booking', 'tally:a', 5, 9, 1, now(), 'x', 'x')
        """,
        "DELETE FROM bus.parked",
    ),
    "booking has a dead letter of tally:a there": (
        """
        INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error)
        VALUES ('booking', 3, 'tally:a', 'x', 1, 'x', 'x')
        """,
        "UPDATE bus.dead_letter SET state = 'discarded'",
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
async def test_what_somebody_needs_stays_until_it_is_needed_no_more(database, booking, admin, holder):
    await declare(database)
    begins, ends = HOLDERS[holder]
    await admin.execute(begins)
    consumers = ["booking", "payment"] if holder.startswith("payment") else ["booking"]
    assert holder in (await retention.drop_oldest(booking, "domain", consumers) or "")
    assert 0 in await spans(booking)
    await admin.execute(ends)
    assert await drop(booking) is None


@pytest.mark.usefixtures("admin")
async def test_an_analyst_who_reads_for_long_keeps_the_span_and_holds_up_no_append(database, booking, producer):
    await declare(database)
    analyst = await database.connect("analyst")
    async with analyst.transaction(isolation="repeatable_read"):
        await analyst.fetch(STREAM)
        dropping = asyncio.create_task(drop(booking))
        appending = await database.connect("booking")
        began = time.monotonic()
        while not dropping.done():
            await toy.append(appending, producer, toy.Put(tally="a"))
            await asyncio.sleep(0.01)
        assert "lock timeout" in (await dropping or "")
        assert time.monotonic() - began < 1.5
        assert len(await analyst.fetch(STREAM)) == 8
    assert await drop(booking) is None
    for connection in (analyst, appending):
        await connection.close()


@pytest.mark.usefixtures("admin")
async def test_a_service_whose_messages_were_dropped_is_told_so(database, booking):
    async with booking.transaction():
        await retention.must_have_all(booking, ["booking.added"])
    await declare(database)
    await drop(booking)
    async with booking.transaction():
        await retention.must_have_all(booking, ["booking.put-off"])
        with pytest.raises(Refusal, match=r"4194303 was dropped, .* booking\.add, booking\.added"):
            await retention.must_have_all(booking, ["booking.added", "booking.put-off", "booking.add"])


async def test_what_was_begun_to_be_forgotten_is_forgotten_by_the_next(database, booking, admin):
    await declare(database)
    await drop(booking)
    assert await booking.fetchval("SELECT bus.forget_span('domain', 0, -1, 1)") is not None  # and the process ends here
    assert await retention.forget_dropped(booking) == 1
    assert await admin.fetchval("SELECT count(*) FROM bus.outcome") == 2
    assert await retention.forget_dropped(booking) == 0


@pytest.mark.usefixtures("admin")
async def test_a_span_of_the_log_is_not_forgotten(booking):
    with pytest.raises(retention.STAYS, match="was not dropped"):
        await booking.execute("SELECT bus.forget_span('domain', 0, -1, 10)")


async def test_old_keys_are_forgotten_once_their_command_has_ended(database, booking, gateway, gate, admin):
    [pending] = await accept_all(gateway, gate.id, [toy.asked("b", 9, key="pending")])
    await admin.execute("UPDATE bus.accepted SET at = at - interval '80 days' WHERE id = $1", pending.id)
    await declare(database, "accepted", 50)
    assert await retention.rotate_keys(booking) == 2
    left = await admin.fetch("SELECT id FROM bus.accepted WHERE at < now() - interval '1 day'")
    assert [row["id"] for row in left] == [pending.id]


async def test_one_at_a_time(booking, gateway):
    async with maintenance.alone(booking, uuid7()) as first, maintenance.alone(gateway, uuid7()) as second:
        assert (first, second) == (True, False)
    async with maintenance.alone(gateway, uuid7()) as third:
        assert third


async def test_no_role_but_the_operators_declares_anything(booking, gateway):
    for connection in (booking, gateway):
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute("SELECT bus.set_retention('domain', 1)")


async def test_commands_are_taken_though_the_log_had_no_partition_left(database, gate, pool):
    admin = await database.connect("postgres")
    await admin.execute(f"SELECT setval('bus.outbox_position', {4 * SPAN - 2})")  # one position is left
    assert await admin.fetchval("SELECT bus.partitions_ahead()") == 0
    commands, stopping = GroupCommit(pool, gate, lambda: None), asyncio.Event()
    tasks = [asyncio.create_task(commands.run(stopping))]
    asked = [asyncio.create_task(commands.accept(toy.asked("a", n))) for n in range(5)]
    await asyncio.sleep(0.1)
    assert not any(one.done() for one in asked)
    tasks.append(asyncio.create_task(Maintenance(pool, uuid7(), ["booking"]).run()))
    async with asyncio.timeout(5):
        assert [(await one).verdict for one in asked] == ["accepted"] * 5
    assert await admin.fetchval("SELECT bus.partitions_ahead()") == maintenance.EXTEND_AHEAD
    stopping.set()
    await tasks[0]
    tasks[1].cancel()
    await admin.close()


async def test_a_missing_partition_is_no_message_s_fault(database, booking, producer):
    admin = await database.connect("postgres")
    await toy.append(booking, producer, *adds(1))
    await admin.execute(f"SELECT setval('bus.outbox_position', {4 * SPAN})")
    async with at_work(database, toy.toy(), producer) as consumer:
        with pytest.raises(Exception, match="no partition") as raised:
            await consumer.step()
        desk = Desk(
            toy.toy(), booking, Membership(booking, toy.toy(), uuid7()), Outbox(toy.toy(), producer), lambda: None
        )
        assert desk.ends_the_turn(raised.value)
        assert is_passing(raised.value)
    assert await admin.fetchval("SELECT count(*) FROM bus.parked") == 0
    await admin.close()
