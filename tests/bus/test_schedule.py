"""Messages for later: each goes out once, at its last time, unless cancelled; the many that wait cost nothing."""

import asyncio
import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from bus import schedule
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.service import Schedule, Unschedule
from tests.bus import toy
from tests.bus.test_consumer import _is, amounts, at_work, until

PENDING = 100_000
MOST_BUFFERS = 40  # a walk down two small indexes, and the rows that go out


async def plan(connection, producer, *effects) -> None:
    """What a handler does when it answers with these effects."""
    async with connection.transaction():
        await Outbox(toy.toy(), producer).take(
            connection, effects, actor="service:booking", correlation=uuid7(), cause=None
        )


def in_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def at(seconds: float, key: str, amount: int) -> Schedule:
    return Schedule(key, in_s(seconds), toy.Add(tally="a", amount=amount))


@pytest.fixture
async def admin(database):
    """A hundred thousand messages that are due in a day or later."""
    admin = await database.connect("postgres")
    await admin.execute(
        """
        INSERT INTO bus.scheduled (service, key, due_at, name, schema, stream, body, correlation, actor)
        SELECT 'booking', 'later:' || n, now() + make_interval(days => 1, secs => n), 'booking.add', 1, 'tally:later',
               '{"tally": "later", "amount": 1}', uuidv7(), 'service:booking'
        FROM generate_series(1, $1::int) AS n
        """,
        PENDING,
    )
    await admin.execute("ANALYZE bus.scheduled")
    yield admin
    await admin.close()


async def buffers(connection, statement: str, *arguments) -> int:
    """How many pages a statement touches."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")  # as after the first few times
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}", *arguments)
    text = "\n".join(row[0] for row in rows)
    assert "Index Scan using scheduled_due" in text, text
    assert "Seq Scan on scheduled" not in text, text
    touched = re.search(r"Buffers: shared hit=(\d+)(?: read=(\d+))?", text)
    assert touched is not None
    return sum(int(one) for one in touched.groups() if one)


@pytest.mark.usefixtures("admin")
async def test_what_is_pending_for_later_costs_nothing(booking, producer):
    known = ("booking", ["booking.add"], [1])
    assert await buffers(booking, schedule.NEXT_DUE, *known) < MOST_BUFFERS
    assert await buffers(booking, schedule.TAKE_DUE, *known) < MOST_BUFFERS
    await plan(booking, producer, *(at(-1, f"due:{n}", n) for n in range(3)))
    transaction = booking.transaction()
    await transaction.start()
    assert await buffers(booking, schedule.TAKE_DUE, *known) < MOST_BUFFERS
    await transaction.rollback()


async def test_it_is_moved_by_its_key_earlier_and_later_and_cancelled_by_it(database, booking, producer):
    async with at_work(database, toy.toy(), producer) as consumer:
        await plan(booking, producer, at(0.2, "earlier", 1), at(1000, "later", 2), at(0.2, "cancelled", 3))
        await plan(booking, producer, at(1000, "earlier", 10), at(0.3, "later", 20), Unschedule("cancelled"))
        await consumer._schedule.open()
        await until(consumer, lambda: _is([20], amounts(booking)))
        await plan(booking, producer, at(-1, "earlier", 100))
        await consumer._schedule.open()
        await until(consumer, lambda: _is([20, 100], amounts(booking)))
        await plan(booking, producer, Unschedule("earlier"), Unschedule("never there"))
    assert await booking.fetchval("SELECT count(*) FROM bus.scheduled") == 0


@pytest.mark.usefixtures("admin")
async def test_whatever_is_moved_cancelled_and_restarted_each_goes_out_once_at_its_last_time(
    database, booking, producer, monkeypatch
):
    """Beside a hundred thousand that wait; keys are planned, moved and cancelled while workers come and go."""
    monkeypatch.setattr(schedule, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(schedule, "TAKE_DUE", schedule.TAKE_DUE.replace(f"LIMIT {schedule.SEND_AT_ONCE}", "LIMIT 7"))
    chosen = random.Random(7)
    gone: set[int] = set()  # what was replaced or cancelled before its time
    planned = 0
    for _ in range(6):
        async with at_work(database, toy.toy(), producer) as consumer:
            for _ in range(30):
                key = f"k{chosen.randrange(40)}"
                async with booking.transaction():
                    before = await booking.fetchval(
                        """
                        DELETE FROM bus.scheduled WHERE service = 'booking' AND key = $1
                        RETURNING (body ->> 'amount')::int
                        """,
                        key,
                    )
                    if before is not None:
                        gone.add(before)
                    if chosen.random() < 0.7:
                        planned += 1
                        await Outbox(toy.toy(), producer).take(
                            booking,
                            [at(chosen.uniform(-0.05, 0.3), key, planned)],
                            actor="service:booking",
                            correlation=uuid7(),
                            cause=None,
                        )
                await consumer.step()
    async with at_work(database, toy.toy(), producer) as consumer:
        wanted = set(range(1, planned + 1)) - gone
        async with asyncio.timeout(20):
            while set(await amounts(booking)) != wanted:
                await consumer.step()
    assert sorted(await amounts(booking)) == sorted(wanted)
    early = await booking.fetch(
        "SELECT position FROM bus.outbox WHERE name = 'booking.add' AND body ->> 'tally' = 'later'"
    )
    assert early == []
    assert await booking.fetchval("SELECT count(*) FROM bus.scheduled") == PENDING


async def test_a_clock_that_was_set_forward_is_noticed(database, booking, producer, monkeypatch):
    monkeypatch.setattr(schedule, "LOOK_EVERY_S", 0.05)
    await plan(booking, producer, at(3600, "in an hour", 1))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
        assert (consumer.patience_s() or 0) > 3000
        await booking.execute("UPDATE bus.scheduled SET due_at = due_at - interval '1 hour'")  # as seen from the clock
        await until(consumer, lambda: _is([1], amounts(booking)))
