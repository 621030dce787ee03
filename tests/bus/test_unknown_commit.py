"""When the way to the database breaks at the worst moment: nothing is lost, and nothing happens twice."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from bus import group_commit
from bus.connection import close_pool, connect_pool, is_away
from bus.group_commit import Accepted, GroupCommit, Overloaded, accept_all
from bus.shots import record_shots
from tests.bus import toy
from tests.bus.proxy import Proxy, proxy_before
from tests.bus.test_consumer import adds, amounts, at_work


@pytest.fixture
async def proxy(database) -> AsyncIterator[Proxy]:
    async with proxy_before(database.url("gateway")) as proxy:
        yield proxy


@pytest.fixture
async def far_pool(database, proxy):
    """The gateway's pool, on a way that breaks."""
    pool = await connect_pool(proxy.through(database.url("gateway")), "test", most=3)
    yield pool
    await close_pool(pool)


@pytest.fixture
async def commands(far_pool, gate) -> AsyncIterator[GroupCommit]:
    commands = GroupCommit(far_pool, gate, lambda: None)
    stopping = asyncio.Event()
    running = asyncio.create_task(commands.run(stopping))
    yield commands
    stopping.set()
    await running


async def test_after_an_unknown_commit_the_same_commands_are_sent_again_before_anything_is_taken_apart(
    monkeypatch, gateway, proxy, commands
):
    batches = []

    async def counting(connection, producer, asked):
        batches.append([one.id for one in asked])
        return await accept_all(connection, producer, asked)

    monkeypatch.setattr(group_commit, "accept_all", counting)
    await commands.accept(toy.asked("a", 0))
    asked = [toy.asked("a", number) for number in range(1, 8)]
    proxy.cut_answer_to("bus.accept(")
    answers = await asyncio.gather(*map(commands.accept, asked))
    assert proxy.cuts == 1
    assert answers == [Accepted(one.id, "accepted") for one in asked]
    assert batches[1:] == [[one.id for one in asked]] * 2
    assert (await toy.logged(gateway))[1:] == [one.id for one in asked]


async def test_a_client_that_asks_again_after_an_unknown_answer_finds_its_command(gateway, proxy, commands):
    """The gateway gave up, the client tries again with its key: the command of the first try is the one."""
    first = toy.asked("a", 1, key="k")
    proxy.cut_answer_to("bus.accept_new(")
    assert await commands.accept(first) == Accepted(first.id, "accepted")
    assert await commands.accept(toy.asked("a", 1, key="k")) == Accepted(first.id, "repeated")
    assert await toy.logged(gateway) == [first.id]


async def test_while_the_way_is_silent_clients_are_told_in_bounded_time_and_afterwards_all_is_well(
    monkeypatch, gateway, proxy, commands
):
    monkeypatch.setattr(group_commit, "APPEND_TIMEOUT_S", 0.2)
    monkeypatch.setattr(group_commit, "GIVE_UP_AFTER_S", 0.1)
    await commands.accept(toy.asked("a", 0))
    lost = [toy.asked("a", 1, key=f"k{number}") for number in range(3)]
    proxy.silence()
    began = time.monotonic()
    answers = await asyncio.gather(*map(commands.accept, lost), return_exceptions=True)
    assert [type(one) for one in answers] == [Overloaded] * 3
    assert time.monotonic() - began < 3, "nor does giving the connection back wait"
    proxy.speak()
    async with asyncio.timeout(10):
        again = [await _insist(commands, toy.asked("a", 1, key=f"k{number}")) for number in range(3)]
    assert len(set(await toy.logged(gateway))) == len(await toy.logged(gateway)) == 4
    assert [answer.id for answer in again] == (await toy.logged(gateway))[1:]


async def _insist(commands: GroupCommit, asked: group_commit.Asked) -> Accepted:
    while True:
        try:
            return await commands.accept(asked)
        except Overloaded:
            await asyncio.sleep(0.01)


async def test_under_load_with_cuts_and_resets_each_command_answered_for_is_there_once(gateway, proxy, commands):
    """A history of what clients were told, beside what is in the log."""
    chance = random.Random(7)
    told: dict[str, set[UUID]] = {}

    async def client(name: str) -> None:
        for number in range(25):
            key = f"{name}-{number}"
            if chance.random() < 0.1:
                proxy.reset()
            elif chance.random() < 0.2:
                proxy.cut_answer_to("bus.accept")
            for _ in range(chance.randint(1, 2)):
                answer = await _insist(commands, toy.asked("a", number, key=key))
                assert answer.verdict != "conflicting"
                told.setdefault(key, set()).add(answer.id)

    async with asyncio.timeout(30):
        await asyncio.gather(*(client(f"c{number}") for number in range(6)))
    assert proxy.cuts > 3, "the interesting thing happened"
    assert all(len(ids) == 1 for ids in told.values())
    logged = await toy.logged(gateway)
    assert sorted(logged) == sorted(id_ for ids in told.values() for id_ in ids)


async def test_shots_told_again_after_an_unknown_commit_count_once(gateway, gate, far_pool, proxy):
    shots = [toy.Shot(device="d", epoch="e", number=number) for number in range(1, 6)]
    proxy.cut_answer_to("bus.record_shots(")
    async with far_pool.acquire() as connection:
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await record_shots(connection, gate.id, shots, ["device:d"] * len(shots))
    async with far_pool.acquire() as connection:
        [told] = await record_shots(connection, gate.id, shots, ["device:d"] * len(shots))
    assert (told.recorded, told.repeated) == (0, 5)
    assert len(await toy.logged(gateway, "booking.shot")) == 5


async def test_a_batch_whose_commit_was_unknown_has_its_effect_once(database, booking, producer):
    """The consumer does not know whether it committed; it asks the database where it stands."""
    await toy.append(booking, producer, *adds(1, 2, 3))
    async with (
        proxy_before(database.url("booking")) as proxy,
        at_work(database, toy.toy(), producer, dsn=proxy.through(database.url("booking"))) as consumer,
    ):
        proxy.cut_answer_to("COMMIT")
        with pytest.raises(asyncpg.PostgresConnectionError) as lost:
            await consumer.step()
        assert is_away(lost.value)
        assert proxy.cuts == 1
    assert await amounts(booking) == [1, 2, 3]
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == [1, 2, 3]
    assert len(await toy.logged(booking, "booking.added")) == 3
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0, "nor was it tried a second time"
