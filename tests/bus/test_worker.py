"""Workers as real processes: killed, stopped, woken too late, cut off. Each message has one effect, in its order."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from bus import connection as connection_module
from bus import membership, reading
from bus import worker as worker_module
from bus.bell import Bell
from bus.connection import close_pool, connect_pool
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.producer import Registration
from bus.worker import Worker
from tests.bus import toy
from tests.bus.proxy import proxy_before
from tests.bus.run_toy import obtain
from tests.bus.test_consumer import adds
from tests.bus.test_rebalance import faults_of_progress

WITHIN_S = 25.0
TAKEN_OVER_WITHIN_S = 12.0
REAL_TIMES = {"lasts_s": membership.LASTS.total_seconds(), "look_every_s": membership.LOOK_EVERY_S}
ROOT = Path(__file__).parents[2]


class Process:
    """One worker's process."""

    def __init__(self, log: Path, dsn: str, **plan: object) -> None:
        self.log = log
        self._out = log.open("ab")
        arguments = [sys.executable, "-m", "tests.bus.run_toy", json.dumps({"dsn": dsn, **plan})]
        self._process = subprocess.Popen(arguments, cwd=ROOT, stdout=self._out, stderr=subprocess.STDOUT)

    @property
    def stopped(self) -> bool:
        return psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED

    def send(self, sign: signal.Signals) -> None:
        self._process.send_signal(sign)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        return self._process.wait(timeout=WITHIN_S)

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()
        self._out.close()

    def said(self, words: str) -> bool:
        return words in self.log.read_text()


Start = Callable[..., Process]


@pytest.fixture
def start(database, tmp_path) -> Iterator[Start]:
    """Starts a worker's process; at the end of the test none is left."""
    started: list[Process] = []

    def one(**plan: object) -> Process:
        started.append(Process(tmp_path / f"worker-{len(started)}.log", database.url("booking"), **plan))
        return started[-1]

    yield one
    for process in started:
        process.end()


async def until(condition: Callable[..., Awaitable[object]], *about: object) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await condition(*about):
            await asyncio.sleep(0.01)


async def effects(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM tally"))


async def each_once_and_in_order(connection: asyncpg.Connection, commands: int) -> None:
    """What must be true at the end of every story here."""
    assert await effects(connection) == commands
    assert await connection.fetchval("SELECT count(DISTINCT command) FROM tally") == commands
    answers = await connection.fetch("SELECT cause FROM bus.outbox WHERE name = 'booking.added' ORDER BY position")
    asked = await connection.fetch("SELECT id FROM bus.outbox WHERE name = 'booking.add'")
    assert sorted(row["cause"] for row in answers) == sorted(row["id"] for row in asked)
    assert await connection.fetchval("SELECT count(*) FROM bus.outcome WHERE status = 'done'") == commands
    out_of_order = await connection.fetch(
        """
        SELECT e.stream, e.position
        FROM (
            SELECT e.stream, e.position, e.revision, c.position AS asked,
                   lag(c.position) OVER s AS asked_before, lag(e.revision) OVER s AS revision_before
            FROM bus.outbox AS e JOIN bus.outbox AS c ON c.id = e.cause
            WHERE e.name = 'booking.added' WINDOW s AS (PARTITION BY e.stream ORDER BY e.position)
        ) AS e
        WHERE asked <= asked_before OR revision <> coalesce(revision_before, 0) + 1
        """
    )
    assert out_of_order == []
    _, faults = await faults_of_progress(connection)
    assert faults == []
    assert await connection.fetchval("SELECT count(*) FROM bus.parked") == 0
    assert await connection.fetchval("SELECT count(*) FROM bus.dead_letter") == 0
    assert await connection.fetchval("SELECT sum(count) FROM bus.progress") == commands


async def ask(connection: asyncpg.Connection, producer: toy.FixedProducer, numbers: range) -> None:
    for number in numbers:
        await toy.append(connection, producer, toy.Add(tally=f"t{number % 5}", amount=number % 900))


async def test_killed_at_random_moments_under_load_and_started_again_it_ends_as_if_nothing_had_happened(
    start, booking, producer
):
    chance = random.Random(13)
    wanted = 0
    for _ in range(4):
        await ask(booking, producer, range(wanted, wanted + 40))
        wanted += 40
        worker = start(work_s=0.002, batch=chance.choice([1, 7, 40]))
        enough = await effects(booking) + chance.randrange(1, 30)
        await until(_at_least, enough, booking)
        worker.kill()
    worker = start()
    await until(_at_least, wanted, booking)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    await each_once_and_in_order(booking, wanted)
    assert await booking.fetchval("SELECT count(DISTINCT fence) FROM bus.progress") == 5, "each took its share anew"


async def test_one_of_three_killed_under_load_is_taken_over_in_time_and_each_is_done_once_and_in_order(
    start, booking, producer
):
    chance, wanted = random.Random(7), 0
    team = [start(work_s=0.002, **REAL_TIMES) for _ in range(3)]
    await until(_shared_by, 3, booking)
    for _ in range(3):
        await ask(booking, producer, range(wanted, wanted + 60))
        wanted += 60
        await until(_at_least, wanted - 40, booking)
        team.pop(chance.randrange(3)).kill()
        began = time.monotonic()
        await until(_shared_by, 2, booking)
        assert time.monotonic() - began < TAKEN_OVER_WITHIN_S
        await until(_at_least, wanted, booking)
        team.append(start(work_s=0.002, **REAL_TIMES))
        await until(_shared_by, 3, booking)
    for worker in team:
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    await each_once_and_in_order(booking, wanted)


async def test_one_of_three_that_stops_is_taken_over_at_once_and_nothing_is_suspect(start, booking, producer):
    team = [start(work_s=0.002, look_every_s=3600) for _ in range(3)]
    await until(_shared_by, 3, booking)
    await ask(booking, producer, range(60))
    await until(_at_least, 5, booking)
    team[0].send(signal.SIGTERM)
    assert team[0].wait() == 0
    began = time.monotonic()
    await until(_shared_by, 2, booking)
    assert time.monotonic() - began < 1, "they were told: with a look an hour they would not have noticed"
    assert await booking.fetchval("SELECT unclean FROM bus.consumer") == 0
    await until(_at_least, 60, booking)
    for worker in team[1:]:
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    await each_once_and_in_order(booking, 60)


async def test_one_that_freezes_in_a_transaction_is_taken_over_in_time_and_comes_back_to_share(
    start, booking, producer
):
    """By then PostgreSQL has ended its transaction, or the fence refuses it: nothing of it counts either way."""
    await ask(booking, producer, range(20))
    sleeper = start(stops_in="decide", stops_at=13, batch=1, **REAL_TIMES)
    await until(_is_stopped, sleeper)
    began = time.monotonic()
    heir = start(**REAL_TIMES)
    await until(_shared_by, 1, booking)
    assert time.monotonic() - began < TAKEN_OVER_WITHIN_S
    await until(_at_least, 20, booking)
    sleeper.send(signal.SIGCONT)
    await until(_said, sleeper, "worker.coming-back")
    await until(_shared_by, 2, booking)
    for worker in (sleeper, heir):
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    await each_once_and_in_order(booking, 20)


async def _shared_by(workers: int, connection: asyncpg.Connection) -> bool:
    """Whether so many living workers, and no others, hold everything in equal shares."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS workers, min(bit_count(partitions::bit(64))) AS least, bus.at_work('booking') AS at_work
        FROM bus.worker
        """
    )
    assert row is not None
    return bool(row["at_work"] and (row["workers"], row["least"]) == (workers, 64 // workers))


async def _at_least(many: int, connection: asyncpg.Connection) -> bool:
    return await effects(connection) >= many


async def test_one_that_stands_by_takes_over_from_one_that_was_killed(start, booking, producer):
    await ask(booking, producer, range(60))
    first = start(work_s=0.002)
    await until(_at_least, 5, booking)
    second = start()
    first.kill()
    await until(_at_least, 60, booking)
    second.send(signal.SIGTERM)
    assert second.wait() == 0
    await each_once_and_in_order(booking, 60)


async def test_asked_to_stop_under_load_it_ends_in_good_order(start, booking, producer):
    await ask(booking, producer, range(120))
    worker = start(work_s=0.005)
    await until(_at_least, 5, booking)
    began = time.monotonic()
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - began < 5
    assert await booking.fetchval("SELECT unclean FROM bus.consumer") == 0, "the next one need not suspect anything"
    done = await effects(booking)
    assert 5 <= done < 120
    rest = start()
    await until(_at_least, 120, booking)
    rest.send(signal.SIGTERM)
    assert rest.wait() == 0
    await each_once_and_in_order(booking, 120)


async def test_stopped_for_longer_than_its_lease_it_writes_nothing_when_it_wakes_up(start, booking, producer):
    await ask(booking, producer, range(20))
    sleeper = start(stops_in="decide", stops_at=13, lasts_s=0.5, batch=1)
    await until(_is_stopped, sleeper)
    assert await effects(booking) == 13
    successor = start(lasts_s=0.5)
    await until(_at_least, 20, booking)
    sleeper.send(signal.SIGCONT)
    await until(_said, sleeper, "LeaseLost")
    successor.send(signal.SIGTERM)
    assert successor.wait() == 0
    await ask(booking, producer, range(20, 30))
    await until(_at_least, 30, booking)
    sleeper.send(signal.SIGTERM)
    assert sleeper.wait() == 0
    await each_once_and_in_order(booking, 30)


async def test_stopped_between_append_and_commit_it_is_ended_so_that_everybody_reads_on(
    start, database, booking, producer
):
    admin = await database.connect("postgres")
    await admin.execute(
        "CREATE OR REPLACE FUNCTION bus.mark_limit() RETURNS interval LANGUAGE sql IMMUTABLE "
        "AS $$ SELECT interval '500 milliseconds' $$"
    )
    sleeper = start(stops_in="append", stops_at=13, lasts_s=0.5)
    await ask(booking, producer, range(20))
    await until(_is_stopped, sleeper)
    await toy.append(booking, producer, toy.Put(tally="late"))
    assert (await reading.read(booking, 0, ["domain"], None, 1000)).unsettled, "it holds everybody up"
    successor = start(lasts_s=0.5)
    async with asyncio.timeout(7):  # PostgreSQL itself would end it after ten seconds
        await until(_settled, booking)
    await until(_at_least, 20, booking)
    assert successor.said("mark.too-old")
    sleeper.send(signal.SIGCONT)
    await until(_said, sleeper, "worker.coming-back")
    for process in (successor, sleeper):
        process.send(signal.SIGTERM)
        assert process.wait() == 0
    await each_once_and_in_order(booking, 20)
    await admin.close()


async def _is_stopped(process: Process) -> bool:
    return process.stopped


async def _said(process: Process, words: str) -> bool:
    return process.said(words)


async def _settled(connection: asyncpg.Connection) -> bool:
    return not (await reading.read(connection, 0, ["domain"], None, 1000)).unsettled


# In this process, where the way to the database is ours to break


@asynccontextmanager
async def working(dsn: str):
    """The toy's worker as a task."""
    service = toy.toy()
    pool = await connect_pool(dsn, "toy/pool", most=2)
    boot, stopping = uuid7(), asyncio.Event()
    registration = Registration(pool, boot, service.may_append, obtain)
    worker = Worker(service, dsn, pool, boot, registration, toy.AllTrusted(), Outbox(service, registration))
    task = asyncio.create_task(worker.run(stopping))
    try:
        yield worker
    finally:
        stopping.set()
        async with asyncio.timeout(WITHIN_S):
            await task
        await close_pool(pool)


@pytest.mark.parametrize("deaf", ["the bell does not listen", "the bell is never heard"])
async def test_with_no_bell_at_all_messages_arrive_by_polling(monkeypatch, database, booking, producer, deaf):
    async def silent(bell: Bell) -> None:
        bell.listening = deaf == "the bell is never heard"
        await asyncio.Event().wait()

    monkeypatch.setattr(Bell, "run", silent)
    monkeypatch.setattr(worker_module, "POLL_S", 0.05)
    async with working(database.url("booking")):
        for number in range(3):
            await toy.append(booking, producer, *adds(number))
            await until(_at_least, number + 1, booking)
    await each_once_and_in_order(booking, 3)


async def test_a_ring_wakes_it_at_once(monkeypatch, database, booking, producer):
    monkeypatch.setattr(worker_module, "POLL_S", 3600.0)
    async with working(database.url("booking")) as worker:
        await until(_listens, worker)
        for number in range(3):
            await toy.append(booking, producer, *adds(number))
            await booking.execute("NOTIFY firingline")
            await until(_at_least, number + 1, booking)


async def _listens(worker: Worker) -> bool:
    return worker.bell.listening


async def test_what_lies_above_an_open_append_is_done_without_a_ring_once_that_ends(
    monkeypatch, database, booking, producer
):
    monkeypatch.setattr(worker_module, "POLL_S", 3600.0)
    batches: list[reading.Batch] = []
    read = reading.read

    async def noting(*args, **more):
        batches.append(await read(*args, **more))
        return batches[-1]

    monkeypatch.setattr(reading, "read", noting)
    slow = await database.connect("booking")
    async with working(database.url("booking")) as worker:
        await until(_listens, worker)
        transaction = slow.transaction()
        await transaction.start()
        await toy.append(slow, producer, *adds(1))
        await toy.append(booking, producer, *adds(2))
        await booking.execute("NOTIFY firingline")
        await until(_unsettled, batches)
        await transaction.rollback()
        await until(_at_least, 1, booking)
    await slow.close()


async def _unsettled(batches: list[reading.Batch]) -> bool:
    return bool(batches) and batches[-1].unsettled


async def test_when_all_its_connections_are_ended_again_and_again_it_comes_back(database, booking, producer):
    admin = await database.connect("postgres")
    async with working(database.url("booking")):
        for round_ in range(3):
            await ask(booking, producer, range(round_ * 20, round_ * 20 + 20))
            await until(_at_least, round_ * 20 + 1, booking)
            await admin.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE ANY ('{firingline-booking%,toy/%}')
                """
            )
        await until(_at_least, 60, booking)
    await each_once_and_in_order(booking, 60)
    await admin.close()


async def test_when_its_way_falls_silent_it_lets_go_in_bounded_time_and_comes_back(
    monkeypatch, database, booking, producer
):
    monkeypatch.setattr(connection_module, "COMMAND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT_S", 0.1)
    async with (
        proxy_before(database.url("booking")) as proxy,
        working(proxy.through(database.url("booking"))) as worker,
    ):
        turns = 0
        turn = worker._turn

        async def counting(stopping: asyncio.Event) -> None:
            nonlocal turns
            turns += 1
            await turn(stopping)

        async def began_anew() -> bool:
            return turns > 0

        monkeypatch.setattr(worker, "_turn", counting)
        for round_ in range(2):
            await ask(booking, producer, range(round_ * 20, round_ * 20 + 20))
            await until(_at_least, round_ * 20 + 1, booking)
            turns = 0
            proxy.silence()
            await until(began_anew)
            proxy.speak()
        await until(_at_least, 40, booking)
    await each_once_and_in_order(booking, 40)
