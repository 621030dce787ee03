"""Several workers of one consumer: whoever comes, goes or freezes, a message has one effect, in its stream's order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from zlib import crc32

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.audit import Reading, Row
from bus.consumer import Consumer
from bus.desk import Desk
from bus.errors import Later, LeaseLost
from bus.identity import uuid7
from bus.membership import Membership
from bus.message import Message
from bus.outbox import Outbox, Said
from bus.partitions import ALL, PARTITIONS, how_many
from bus.service import Hears, Service
from tests.bus import toy
from tests.bus.test_consumer import _is, adds, amounts, until
from tests.database import Database

TALLIES = 6
MOST_WORKERS = 4


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Tries again at once."""
    monkeypatch.setattr("bus.retrying.full_jitter", lambda _attempt: 0.001)
    monkeypatch.setattr("bus.requeued.LOOK_EVERY_S", 0.0)


@dataclass
class Working:
    """A worker whose turns the test takes for it."""

    consumer: Consumer
    membership: Membership
    connection: asyncpg.Connection

    async def step(self) -> bool:
        """A turn, at whose begin it looks whether shares have to change."""
        self.membership.unbalanced = True
        return await self.consumer.step()

    async def leave(self) -> None:
        await self.consumer.close()


@asynccontextmanager
async def team(database: Database, service: Service, producer: toy.FixedProducer) -> AsyncIterator["Team"]:
    async with AsyncExitStack() as stack:
        yield Team(database, service, producer, stack)


class Team:
    """Workers of one consumer, in one process."""

    def __init__(
        self, database: Database, service: Service, producer: toy.FixedProducer, stack: AsyncExitStack
    ) -> None:
        self._database = database
        self._service = service
        self._producer = producer
        self._stack = stack
        self.living: list[Working] = []
        self.frozen: list[Working] = []

    async def join(self, *, batch: int = 5) -> Working:
        connection, heartbeat = [await self._database.connect("booking") for _ in range(2)]
        self._stack.push_async_callback(connection.close)
        self._stack.push_async_callback(heartbeat.close)
        membership = Membership(heartbeat, self._service, uuid7())
        await membership.enter()
        desk = Desk(self._service, connection, membership, Outbox(self._service, self._producer), lambda: None)
        consumer = Consumer(desk, toy.AllTrusted(), batch=batch)
        await consumer.open()
        self.living.append(Working(consumer, membership, connection))
        return self.living[-1]

    async def settle(self) -> None:
        """Turns in turn until every partition is held, and every worker has its share."""
        for _ in range(3 * len(self.living)):
            for one in self.living:
                await one.step()
        assert sum(how_many(one.membership.partitions) for one in self.living) == how_many(ALL)

    async def freeze(self, one: Working, admin: asyncpg.Connection) -> None:
        self.living.remove(one)
        self.frozen.append(one)
        await admin.execute(
            "UPDATE bus.worker SET expires_at = clock_timestamp() - interval '1 ms' WHERE boot = $1",
            one.membership._boot,
        )

    async def wake(self) -> None:
        """Those who were frozen go on where they stood, without a look around."""
        for one in self.frozen:
            one.membership.unbalanced = False
            with suppress(LeaseLost):
                await one.consumer.step()
                await one.consumer.write_progress()
        self.frozen.clear()


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("postgres")
    yield connection
    await connection.close()


async def faults_of_progress(connection: asyncpg.Connection) -> tuple[Reading, list[str]]:
    """What the auditor says of the toy's progress."""
    rows = await connection.fetch(
        """
        SELECT partitions, from_position, to_position, count, digest, fence FROM bus.progress
        WHERE consumer = 'booking' ORDER BY to_position, from_position
        """
    )
    heard = await connection.fetch(
        "SELECT position, partition FROM bus.outbox WHERE name = ANY ($1) ORDER BY position",
        toy.toy().catalogue.names,
    )
    reading = Reading("booking")
    return reading, list(reading.go_on([Row(*row) for row in rows], [tuple(row) for row in heard]))


@asynccontextmanager
async def two(
    database: Database, service: Service, producer: toy.FixedProducer
) -> AsyncIterator[tuple[Working, Working]]:
    """Two workers that hold half of the partitions each; the first holds that of tally 'a'."""
    async with team(database, service, producer) as all_of_them:
        first, second = await all_of_them.join(), await all_of_them.join()
        await all_of_them.settle()
        if not first.membership.partitions >> partition_of("tally:a") & 1:
            first, second = second, first
        yield first, second


def partition_of(stream: str) -> int:
    return crc32(stream.encode()) % PARTITIONS


def elsewhere(working: Working) -> str:
    """A tally in a partition that this worker holds."""
    return next(
        name for name in map(str, range(999)) if working.membership.partitions >> partition_of(f"tally:{name}") & 1
    )


async def test_each_does_what_is_in_its_partitions_and_the_other_leaves_it_alone(database, booking, producer):
    async with two(database, toy.toy(), producer) as (first, second):
        there = elsewhere(second)
        await toy.append(booking, producer, *adds(1, 2), *adds(3, tally=there), *adds(4))
        await second.step()
        assert (await amounts(booking), await amounts(booking, there)) == ([], [3])
        await first.step()
        assert (await amounts(booking), await amounts(booking, there)) == ([1, 2, 4], [3])
        for one in (first, second):
            await one.consumer.write_progress()
    reading, faults = await faults_of_progress(booking)
    assert faults == []
    assert reading.messages == 4


async def test_the_cursor_of_each_partition_is_where_its_latest_row_ends(booking, admin):
    rows = [(ALL, 0, 10), (0b1, 10, 20), (~0b1, 10, 15), (0b11, 20, 30), (0b100, 15, 16), (0b1000, 15, 40)]
    for partitions, since, upto in rows:
        await admin.execute(
            "INSERT INTO bus.progress VALUES ('booking', $1, $2, $3, 0, 0, 1, now())", partitions, since, upto
        )
    cursors = await booking.fetchval("SELECT bus.cursors_of('booking')")
    assert cursors == [30, 30, 16, 40, *[15] * 60]
    assert await booking.fetchval("SELECT bus.cursor_of('booking')") == 15
    assert await booking.fetchval("SELECT bus.cursors_of('nobody')") == [0] * 64
    many = [("x", 1 << number % 60, number, number + 60) for number in range(1000)]
    await admin.executemany("INSERT INTO bus.progress VALUES ($1, $2, $3, $4, 0, 0, 1, now())", many)
    cursors = await booking.fetchval("SELECT bus.cursors_of('x')")
    assert cursors == [*range(1020, 1060), *range(1000, 1020), 0, 0, 0, 0]


async def append_to_one_story(connection: asyncpg.Connection, producer: toy.FixedProducer, *messages: Message) -> None:
    story = uuid7()
    said = [Said(one, "service:booking", story, None) for one in messages]
    await Outbox(toy.toy(), producer).append(connection, said)


@pytest.mark.parametrize("way", ["in a batch", "singly", "from a parked stream"])
async def test_a_story_is_at_one_worker_at_a_time_though_its_streams_are_at_two(
    monkeypatch, database, booking, producer, way
):
    """Each sees that nothing has been added yet, and adds: unless the second waits for the first and then looks."""

    async def look_long(connection, _asked):
        total = await connection.fetchval("SELECT count(*) FROM tally")
        await connection.execute("SELECT pg_sleep(0.3)")
        return total

    def add_once(total, asked, given):
        if total:
            raise toy.TooMuch(amount=asked.amount)
        if waits and asked.tally in waits:
            waits.remove(asked.tally)
            raise Later(0.001)
        return [toy.Added(tally=asked.tally, amount=asked.amount, command=given.id)]

    waits: list[str] = []
    service = replace(toy.toy(), hears=[Hears(toy.Add, look_long, add_once), toy.toy().hears[1]])
    async with two(database, service, producer) as (first, second):
        there = elsewhere(second)
        if way == "from a parked stream":
            waits += ["a", "a", there, there]
        if way == "singly":
            for one in (first, second):
                monkeypatch.setattr(one.consumer, "_transact", _but_singly(one.consumer._transact))
        await append_to_one_story(booking, producer, *adds(1), *adds(2, tally=there))
        for _ in range(4):
            await asyncio.gather(first.step(), second.step())
            await asyncio.sleep(0.01)
    assert await booking.fetchval("SELECT count(*) FROM tally") == 1
    assert sorted(row[0] for row in await booking.fetch("SELECT status FROM bus.outcome")) == ["done", "rejected"]


def _but_singly(transact):
    """Has the first try fail, whatever it is, as a batch does that holds a bad message."""
    failed: list[bool] = []

    async def fails_once(*args):
        if not failed:
            failed.append(True)
            raise RuntimeError("as a batch")
        await transact(*args)

    return fails_once


async def test_stories_that_have_nothing_in_common_keep_nobody_waiting(database, booking, producer):
    async with two(database, toy.toy(), producer) as (first, second):
        there = elsewhere(second)
        await toy.append(booking, producer, *adds(1), *adds(2, tally=there))
        async with first.connection.transaction():
            stories = await booking.fetch("SELECT correlation FROM bus.outbox WHERE stream = 'tally:a'")
            await first.connection.execute("SELECT bus.hold_stories('booking', $1)", [stories[0]["correlation"]])
            await second.step()
            assert await amounts(booking, there) == [2]
            await booking.execute("SET lock_timeout = '50ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await booking.execute("SELECT bus.hold_stories('booking', $1)", [stories[0]["correlation"]])


async def test_a_batch_that_is_shared_holds_no_more_than_so_many_stories(monkeypatch, database, booking, producer):
    monkeypatch.setattr("bus.consumer.STORIES", 3)
    async with two(database, toy.toy(), producer) as (first, _second):
        for number in range(8):
            await append_to_one_story(booking, producer, *adds(number))
        held = []
        handle = first.consumer._desk.handle

        async def noting(received, *more):
            held.append(len(received))
            return await handle(received, *more)

        monkeypatch.setattr(first.consumer._desk, "handle", noting)
        while await first.step():
            pass
    assert await amounts(booking) == list(range(8))
    assert held == [3, 2, 3], "what was read together, and is not read again"


async def test_only_the_holder_of_its_partition_tries_a_parked_stream_again(database, booking, producer):
    faults = toy.Faults({number: [RuntimeError("once"), RuntimeError("again")] for number in (1, 3)}, [])
    async with two(database, toy.toy(faults), producer) as (first, second):
        there = elsewhere(second)
        await toy.append(booking, producer, *adds(1, 2), *adds(3, tally=there))
        await first.step()
        await second.step()
        assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 2
        await booking.execute("UPDATE bus.parked SET retry_at = now()")
        for _ in range(3):
            await second.consumer._retrying.look_ahead()
            await second.step()
        assert await amounts(booking, there) == [3]
        assert faults.seen.count(1) == 2, "with its batch, then singly"
        await first.leave()
        await until(second.consumer, lambda: _is([], amounts(booking)))
        second.membership.unbalanced = True
        await until(second.consumer, lambda: _is([1, 2], amounts(booking)))


async def test_a_dead_letter_put_back_is_done_once_by_the_holder_of_its_partition(database, booking, producer):
    done = []

    def note(_state, event, _given):
        done.append(event.tally)
        return []

    service = replace(toy.toy(), hears=[*toy.toy().hears, Hears(toy.Put, None, note)])
    await toy.append(booking, producer, toy.Put(tally="a"))
    async with two(database, service, producer) as (first, second):
        await first.step()
        await booking.execute(
            """
            INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error, state)
            SELECT 'booking', position, stream, name, 8, '', '', 'requeued' FROM bus.outbox
            """
        )
        for _ in range(3):
            await second.step()
        assert done == ["a"], "when it came"
        for _ in range(3):
            await first.step()
        assert done == ["a", "a"]
    assert await booking.fetchval("SELECT count(*) FROM bus.dead_letter") == 0


async def test_what_one_scheduled_and_did_not_live_to_send_another_sends_once(database, booking, admin, producer):
    async with team(database, toy.toy(), producer) as workers:
        first, second = await workers.join(), await workers.join()
        await workers.settle()
        owner = first if first.membership.partitions >> partition_of("tally:a") & 1 else second
        await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.1))
        await owner.step()
        assert await booking.fetchval("SELECT count(*) FROM bus.scheduled") == 1
        await workers.freeze(owner, admin)
        [heir] = workers.living
        heir.membership.unbalanced = True
        await until(heir.consumer, lambda: _is([7], amounts(booking)))
        await workers.wake()
        await heir.step()
    assert await amounts(booking) == [7]
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox WHERE name = 'booking.add'") == 1


async def test_what_is_due_goes_out_once_although_all_look(database, booking, producer):
    async with two(database, toy.toy(), producer) as (first, second):
        await toy.append(booking, producer, *(toy.AddLater(tally=f"x{n}", amount=n, seconds=0) for n in range(30)))
        for _ in range(20):
            await first.step()
            await second.step()
            for one in (first, second):
                await one.consumer._schedule.open()
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox WHERE name = 'booking.add'") == 30
    assert await booking.fetchval("SELECT count(*) FROM tally") == 30


async def test_only_what_the_dead_one_held_is_tried_singly_and_counted(monkeypatch, database, booking, admin, producer):
    async with team(database, toy.toy(), producer) as workers:
        first, second = await workers.join(), await workers.join()
        await workers.settle()
        mine, its = elsewhere(second), elsewhere(first)
        await workers.freeze(first, admin)
        counted = []
        begin = second.consumer._begin_counted

        async def counting(front, envelope):
            counted.append(envelope.stream)
            return await begin(front, envelope)

        monkeypatch.setattr(second.consumer, "_begin_counted", counting)
        await toy.append(booking, producer, *adds(1, tally=mine), *adds(2, tally=its))
        await second.step()
        await second.step()
        assert (await amounts(booking, mine), await amounts(booking, its)) == ([1], [2])
        assert counted == [f"tally:{its}"]
        await toy.append(booking, producer, *adds(3, tally=its))
        await second.step()
        assert counted == [f"tally:{its}"], "what came after it died, it cannot have died of"
        assert await booking.fetchval("SELECT count(*) FROM bus.attempt") == 0
        assert len(second.consumer._fronts) == 1, "and all is one read again"


async def test_one_that_wakes_up_late_commits_nothing_of_what_its_successor_did(database, booking, admin, producer):
    async with team(database, toy.toy(), producer) as workers:
        sleeper = await workers.join()
        await toy.append(booking, producer, *adds(1, 2))
        await workers.freeze(sleeper, admin)
        successor = await workers.join()
        await successor.step()
        assert await amounts(booking) == [1, 2]
        sleeper.membership.unbalanced = False
        with pytest.raises(LeaseLost):
            await sleeper.consumer.step()
    assert await amounts(booking) == [1, 2]


async def test_who_comes_late_catches_up_in_batches_and_then_reads_with_the_rest(database, booking, producer):
    async with team(database, toy.toy(), producer) as workers:
        first = await workers.join()
        second = await workers.join()
        await workers.settle()
        there = elsewhere(second)
        await toy.append(booking, producer, *(one for n in range(30) for one in adds(n, tally=there)))
        await first.step()
        await second.leave()
        workers.living.remove(second)
        await toy.append(booking, producer, *adds(30, tally=there))
        await first.step()
        assert len(first.consumer._fronts) == 2
        for _ in range(12):
            await first.step()
        assert len(first.consumer._fronts) == 1
    assert await amounts(booking, there) == list(range(31))


# Whatever happens

FAULT = st.sampled_from(["bug", "later", "race"])
WHAT = st.sampled_from(["append", "append", "step", "step", "step", "step", "join", "leave", "freeze", "wake"])
STEPS = st.lists(st.tuples(WHAT, st.integers(0, 99), st.lists(FAULT, max_size=3)), min_size=5, max_size=40)


def error_of(fault: str) -> Exception:
    return {"bug": RuntimeError("bug"), "later": Later(0.001), "race": asyncpg.SerializationError("race")}[fault]


class Story:
    """What was asked, and what went wrong on the way."""

    def __init__(self, workers: Team, connections: tuple[asyncpg.Connection, asyncpg.Connection]) -> None:
        self._workers = workers
        self._booking, self._admin = connections
        self._run = str(uuid7())
        self.asked: dict[str, list[int]] = {}

    @property
    def many(self) -> int:
        return sum(map(len, self.asked.values()))

    async def ask(self, faults: toy.Faults, producer: toy.FixedProducer, which: int, bad: list[str]) -> None:
        number, tally = self.many, f"{self._run}-{which % TALLIES}"
        faults.raises[number] = [error_of(fault) for fault in bad]
        await toy.append(self._booking, producer, toy.Add(tally=tally, amount=number))
        self.asked.setdefault(tally, []).append(number)

    async def happens(self, what: str, which: int) -> None:
        living = self._workers.living
        one = living[which % len(living)]
        if what == "step":
            await one.step()
        elif what == "wake":
            await self._workers.wake()
        elif what == "join" and len(living) < MOST_WORKERS:
            await self._workers.join(batch=1 + which % 5)
        elif what == "leave" and len(living) > 1:
            living.remove(one)
            await one.leave()
        elif what == "freeze" and len(living) > 1:
            await self._workers.freeze(one, self._admin)

    async def ends(self) -> None:
        """All faults are over, and who was frozen wakes up."""
        await self._workers.settle()
        await self._workers.wake()
        for _ in range(400):
            if await self._booking.fetchval("SELECT count(*) FROM tally") == self.many:
                break
            for one in self._workers.living:
                await one.step()
        for one in self._workers.living:
            await one.step()
            await one.leave()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
async def test_each_message_has_one_effect_in_its_streams_order_whoever_comes_goes_and_freezes(
    database, booking, admin, producer, steps
):
    await admin.execute("TRUNCATE bus.worker, bus.parked, bus.attempt, booking.tally")
    faults = toy.Faults({}, [])
    async with team(database, toy.toy(faults, attempts=50), producer) as workers:
        story = Story(workers, (booking, admin))
        await workers.join()
        for what, which, bad in steps:
            if what == "append":
                await story.ask(faults, producer, which, bad)
            else:
                await story.happens(what, which)
        await story.ends()
    for tally, numbers in story.asked.items():
        assert await amounts(booking, tally) == numbers
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0
    assert await booking.fetchval("SELECT count(*) FROM bus.attempt") == 0
    _, found = await faults_of_progress(booking)
    assert found == []
