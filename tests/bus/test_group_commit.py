"""Group commit: everybody is answered, after COMMIT, whoever else is in the same batch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bus import group_commit
from bus.connection import Pool
from bus.group_commit import Accepted, GroupCommit, Overloaded, Unacceptable, accept_all
from bus.message import Command
from tests.bus import toy


class Note(Command, name="booking.add", stream="tally:{text}"):
    """A command with a text that nobody checked."""

    text: str


class Counted:
    """Counts rings, and how many commands went together into each append."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rings = 0
        self.batches: list[int] = []

        async def counting(connection, producer, asked):
            self.batches.append(len(asked))
            return await accept_all(connection, producer, asked)

        monkeypatch.setattr(group_commit, "accept_all", counting)

    def ring(self) -> None:
        self.rings += 1


@pytest.fixture
def counted(monkeypatch) -> Counted:
    return Counted(monkeypatch)


@asynccontextmanager
async def open_gate(pool: Pool, gate, ring: Callable[[], None] = lambda: None) -> AsyncIterator[GroupCommit]:
    commands = GroupCommit(pool, gate, ring)
    stopping = asyncio.Event()
    running = asyncio.create_task(commands.run(stopping))
    try:
        yield commands
    finally:
        stopping.set()
        await running


def noted(text: str):
    plain = toy.asked("a", 1)
    return type(plain)(plain.key, plain.hash, plain.id, Note(text=text), plain.actor)


async def test_what_comes_while_one_append_is_under_way_goes_together_into_the_next(pool, gateway, gate, counted):
    asked = [toy.asked("a", number) for number in range(50)]
    async with open_gate(pool, gate, counted.ring) as commands:
        first = asyncio.create_task(commands.accept(asked[0]))
        while not counted.batches:
            await asyncio.sleep(0)
        rest = await asyncio.gather(*(commands.accept(one) for one in asked[1:]))
        answers = [await first, *rest]
    assert answers == [Accepted(one.id, "accepted") for one in asked]
    assert await toy.logged(gateway) == [one.id for one in asked]
    assert counted.batches == [1, 49]
    assert counted.rings == 2


async def test_an_answer_is_given_after_commit_only(database, pool, gateway, gate):
    """While the commit waits for another transaction, nobody is told anything."""
    one = toy.asked("a", 1, key="k")
    other = await database.connect("gateway")
    transaction = other.transaction()
    await transaction.start()
    await accept_all(other, gate.id, [toy.asked("a", 1, key="k")])
    async with open_gate(pool, gate) as commands:
        answer = asyncio.create_task(commands.accept(one))
        watcher = await database.connect("postgres")
        async with asyncio.timeout(5):
            while not await watcher.fetchval("SELECT true FROM pg_locks WHERE NOT granted"):
                assert not answer.done()
        await transaction.rollback()
        assert await answer == Accepted(one.id, "accepted")
    assert await toy.logged(gateway) == [one.id]
    await other.close()
    await watcher.close()


@pytest.mark.parametrize("bad", ["\x00", "\ud800"], ids=["NUL", "a lone surrogate"])
async def test_one_bad_message_never_fails_its_neighbours(pool, gateway, gate, counted, bad):
    good = [toy.asked("a", number) for number in range(9)]
    async with open_gate(pool, gate) as commands:
        first = asyncio.create_task(commands.accept(good[0]))
        while not counted.batches:
            await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(commands.accept(one) for one in (*good[1:4], noted(f"x{bad}"), *good[4:])), return_exceptions=True
        )
        assert await first == Accepted(good[0].id, "accepted")
        assert counted.batches[1] == 9, "they were together"
    assert isinstance(answers.pop(3), Unacceptable)
    assert answers == [Accepted(one.id, "accepted") for one in good[1:]]
    assert sorted(await toy.logged(gateway)) == sorted(one.id for one in good)


async def test_an_id_that_is_in_use_is_refused_alone(pool, gateway, gate):
    first, thief, third = toy.asked("a", 1), toy.asked("a", 2), toy.asked("a", 3)
    thief = type(first)(thief.key, thief.hash, first.id, thief.command, thief.actor)
    async with open_gate(pool, gate) as commands:
        answers = await asyncio.gather(*(commands.accept(one) for one in (first, thief, third)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Accepted, Unacceptable, Accepted]
    assert sorted(await toy.logged(gateway)) == sorted([first.id, third.id])


async def test_the_buffer_is_bounded(monkeypatch, pool, gate):
    monkeypatch.setattr(group_commit, "BUFFER", 3)
    commands = GroupCommit(pool, gate, lambda: None)
    waiting = [asyncio.create_task(commands.accept(toy.asked("a", number))) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await commands.accept(toy.asked("a", 4))
    assert refused.value.retry_after_s > 0
    stopping = asyncio.Event()
    stopping.set()
    await commands.run(stopping)
    assert {answer.verdict for answer in await asyncio.gather(*waiting)} == {"accepted"}


async def test_what_was_taken_is_answered_at_a_stop_and_nothing_more_is_taken(pool, gateway, gate, counted):
    commands = GroupCommit(pool, gate, counted.ring)
    stopping = asyncio.Event()
    asked = [toy.asked("a", number) for number in range(20)]
    waiting = [asyncio.create_task(commands.accept(one)) for one in asked]
    running = asyncio.create_task(commands.run(stopping))
    while not counted.batches:
        await asyncio.sleep(0)
    late = toy.asked("a", 99)
    during = asyncio.create_task(commands.accept(late))
    await asyncio.sleep(0)
    stopping.set()
    await running
    assert [await one for one in waiting] == [Accepted(one.id, "accepted") for one in asked]
    assert await during == Accepted(late.id, "accepted")
    with pytest.raises(Overloaded):
        await commands.accept(toy.asked("a", 1))
    assert len(await toy.logged(gateway)) == 21


@pytest.mark.parametrize("end", ["cancelled", "broken"])
async def test_nobody_waits_for_ever_however_it_ends(monkeypatch, pool, gate, end):
    begun, never = asyncio.Event(), asyncio.Event()

    async def hanging(_connection, _producer, _asked):
        begun.set()
        await never.wait()
        raise KeyError("a bug")

    monkeypatch.setattr(group_commit, "accept_all", hanging)
    monkeypatch.setattr(group_commit, "TOGETHER", 2)
    commands = GroupCommit(pool, gate, lambda: None)
    waiting = [asyncio.create_task(commands.accept(toy.asked("a", number))) for number in range(5)]
    running = asyncio.create_task(commands.run(asyncio.Event()))
    await begun.wait()
    if end == "cancelled":
        running.cancel()
    else:
        never.set()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in answers] == [Overloaded] * 5
    with pytest.raises(asyncio.CancelledError if end == "cancelled" else KeyError):
        await running
    with pytest.raises(Overloaded):
        await commands.accept(toy.asked("a", 1))


async def test_a_client_that_left_does_not_disturb_the_others(pool, gateway, gate, counted):
    asked = [toy.asked("a", number) for number in range(3)]
    async with open_gate(pool, gate) as commands:
        waiting = [asyncio.create_task(commands.accept(one)) for one in asked]
        await asyncio.sleep(0)
        waiting[1].cancel()
        assert [await waiting[0], await waiting[2]] == [
            Accepted(asked[0].id, "accepted"),
            Accepted(asked[2].id, "accepted"),
        ]
    assert await toy.logged(gateway) == [one.id for one in asked], "it was asked for, and may be asked for again"
    assert counted.batches == [3]


async def test_a_token_that_ran_out_is_no_fault_of_the_commands(monkeypatch, pool, gateway, gate):
    """Once the registration is renewed, what waited comes through; nothing is taken apart or refused for good."""
    fresh = gate.id
    expired = await toy.register(gateway, toy.NAMES, for_s=-1)
    attempts = 0

    async def renewing(connection, producer, asked):
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            expired.id = fresh
        return await accept_all(connection, producer, asked)

    monkeypatch.setattr(group_commit, "accept_all", renewing)
    asked = [toy.asked("a", number) for number in range(4)]
    async with open_gate(pool, expired) as commands, asyncio.timeout(10):
        assert {answer.verdict for answer in await asyncio.gather(*map(commands.accept, asked))} == {"accepted"}
    assert len(await toy.logged(gateway)) == 4


class Alarm(Command, name="booking.add", stream="tally:{text}", urgent=True):
    """A command that cannot wait."""

    text: str


def alarmed(text: str):
    plain = noted(text)
    return type(plain)(plain.key, plain.hash, plain.id, Alarm(text=text), plain.actor)


async def test_what_is_urgent_goes_before_what_waits_in_its_own_order(pool, gateway, gate, counted, monkeypatch):
    monkeypatch.setattr(group_commit, "TOGETHER", 2)
    waiting = [noted(str(number)) for number in range(5)]
    urgent = [alarmed("first"), alarmed("second"), alarmed("third")]
    async with open_gate(pool, gate, counted.ring) as commands:
        under_way = asyncio.create_task(commands.accept(toy.asked("a", 0)))
        while not counted.batches:
            await asyncio.sleep(0)
        await asyncio.gather(*(commands.accept(one) for one in (*waiting, *urgent)))
        await under_way
    logged = await toy.logged(gateway)
    assert logged[1:] == [one.id for one in (*urgent, *waiting)]


async def test_what_is_urgent_has_places_of_its_own_and_they_are_bounded(pool, gate, monkeypatch):
    monkeypatch.setattr(group_commit, "BUFFER", 0)
    monkeypatch.setattr(group_commit, "URGENT_BUFFER", 1)
    commands = GroupCommit(pool, gate, lambda: None)
    with pytest.raises(Overloaded):
        await commands.accept(noted("one"))
    taken = asyncio.create_task(commands.accept(alarmed("one")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await commands.accept(alarmed("two"))
    taken.cancel()
