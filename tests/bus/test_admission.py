"""What may not be attempted waits, untried and uncounted, behind it its stream in order; everything else goes on."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from bus import dead_letters, pauses
from bus.dead_letters import Wanted
from bus.service import Dependency, Hears
from tests.bus import toy
from tests.bus.test_consumer import _is, adds, amounts, at_work, outcome, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Looks at once for what a person did, and tries again at once."""
    monkeypatch.setattr("bus.admission.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("bus.requeued.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("bus.retrying.full_jitter", lambda _attempt: 0.001)


@dataclass
class Provider:
    """Something outside that is well or not."""

    well: bool = True
    asked: list[int] = field(default_factory=list)
    keys: list[object] = field(default_factory=list)
    hangs_s: float = 0.0

    async def __call__(self, command, given):
        self.asked.append(command.amount)
        self.keys.append(given.id)
        await asyncio.sleep(self.hangs_s)
        if not self.well:
            raise OSError("away")
        if command.amount == 13:
            raise toy.TooMuch(amount=13)
        return command.amount * 100


def depending(provider: Provider, **policy):
    """Adds what the provider makes of an amount; what is put off depends on nobody."""
    on = Dependency(
        "provider", provider, **{"at_least": 3, "first_s": 0.2, "longest_s": 0.2, "within_s": 1.0, **policy}
    )

    def add(_state, command, given):
        return [toy.Added(tally=command.tally, amount=given.answer, command=given.id)]

    service = toy.toy()
    later = next(row for row in service.hears if row.message is toy.AddLater)
    return replace(service, hears=[Hears(toy.Add, None, add, attempts=4, depends=on), later])


async def waiting(connection) -> list[tuple[str, str, int]]:
    rows = await connection.fetch("SELECT stream, cause, attempts FROM bus.parked ORDER BY head")
    return [tuple(row) for row in rows]


async def circuit(connection) -> object:
    return await connection.fetchval("SELECT state FROM bus.circuit")


async def steps(consumer, number: int = 5) -> None:
    for _ in range(number):
        await consumer.step()


async def test_the_answer_is_there_for_the_decision_and_no_transaction_waits_for_it(database, booking, producer):
    provider = Provider()
    commands = await toy.append(booking, producer, *adds(1, 13, 2))
    async with at_work(database, depending(provider), producer) as consumer:
        connection = consumer._desk.connection
        provider.asked = _Watching(connection)
        await until(consumer, lambda: _is([100, 200], amounts(booking)))
        assert provider.asked == [1, 13, 2]
        assert provider.keys == commands
        assert not provider.asked.in_transaction
    assert [await outcome(booking, one) for one in commands] == ["done", "rejected", "done"]


class _Watching(list[int]):
    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        self.in_transaction = False

    def append(self, one):
        self.in_transaction |= self.connection.is_in_transaction()
        super().append(one)


async def test_while_a_circuit_is_open_nothing_is_attempted_and_others_go_on(database, booking, producer):
    provider = Provider(well=False)
    for tally in "abcdefgh":
        await toy.append(booking, producer, *adds(1, 2, tally=tally))
    await toy.append(booking, producer, toy.AddLater(tally="z", amount=9, seconds=1000))
    async with at_work(database, depending(provider, first_s=60.0, longest_s=60.0), producer) as consumer:
        await until(consumer, lambda: _is("open", circuit(booking)))
        await steps(consumer, 20)
        assert len(provider.asked) == 3
        waits = await waiting(booking)
        assert len(waits) == 8
        assert [attempts for _, cause, attempts in waits if cause == "circuit open: provider"][-5:] == [0] * 5
        assert await booking.fetchval("SELECT count(*) FROM bus.outbox WHERE name = 'booking.put-off'") == 1
        assert {one.state for one in await dead_letters.find(booking, "booking", Wanted())} == {"blocked"}
        assert (consumer.patience_s() or 0) > 50


async def test_a_probe_that_succeeds_lets_all_go_on_in_order(database, booking, producer):
    provider = Provider(well=False)
    for tally in "abcdefgh":
        await toy.append(booking, producer, *adds(1, 2, 3, tally=tally))
    async with at_work(database, depending(provider), producer) as consumer:
        await until(consumer, lambda: _is("open", circuit(booking)))
        provider.well = True
        for tally in "abcdefgh":
            await until(consumer, partial(_all_added, booking, tally))
        await until(consumer, lambda: _is("closed", circuit(booking)))
        assert await waiting(booking) == []
    assert len(provider.asked) == 3 + 24


async def _all_added(connection, tally: str) -> bool:
    return await amounts(connection, tally) == [100, 200, 300]


async def test_a_probe_that_fails_counts_for_nothing(database, booking, producer):
    """The head that probes would otherwise be given up for what is no fault of its own."""
    provider = Provider(well=False)
    policy = {"first_s": 0.01, "longest_s": 0.01}
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, depending(provider, **policy), producer) as consumer:
        async with asyncio.timeout(10):
            while len(provider.asked) < 15:
                await consumer.step()
                await asyncio.sleep(0.002)
        assert await booking.fetchval("SELECT count(*) FROM bus.dead_letter") == 0
        [(_, _, attempts)] = await waiting(booking)
        assert attempts <= 3
        provider.well = True
        await until(consumer, lambda: _is([100], amounts(booking)))


async def test_one_that_hangs_is_one_that_fails(database, booking, producer):
    provider = Provider(hangs_s=5)
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, depending(provider, within_s=0.02), producer) as consumer:
        await until(consumer, lambda: _is("open", circuit(booking)))
        assert not booking.is_closed()


async def test_without_enough_failures_it_is_tried_and_given_up_as_any_other(database, booking, producer):
    provider = Provider(well=False)
    [command] = await toy.append(booking, producer, *adds(1))
    async with at_work(database, depending(provider, at_least=100), producer) as consumer:
        await until(consumer, lambda: _is("failed", outcome(booking, command)))
    assert len(provider.asked) == 4


async def seen(connection) -> list[int]:
    return [row["amount"] for row in await connection.fetch("SELECT amount FROM tally ORDER BY ctid")]


async def test_a_paused_stream_waits_in_order_and_the_others_go_on(database, booking, producer):
    await pauses.pause(booking, "booking", "stream", "tally:a", "to be looked at")
    await toy.append(booking, producer, *adds(1, 2), *adds(3, tally="b"))
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([3], seen(booking)))
        await toy.append(booking, producer, *adds(4), *adds(5, tally="b"))
        await until(consumer, lambda: _is([3, 5], seen(booking)))
        assert await waiting(booking) == [("tally:a", "paused by hand: stream tally:a", 0)]
        assert await pauses.resume(booking, "booking", "stream", "tally:a")
        await until(consumer, lambda: _is([3, 5, 1, 2, 4], seen(booking)))
        assert await waiting(booking) == []
        assert not await pauses.resume(booking, "booking", "stream", "tally:a")


async def test_a_paused_handler_lets_batches_go_on_as_batches(database, booking, producer):
    await pauses.pause(booking, "booking", "handler", "booking.add-later", "")
    faults = toy.Faults({}, [])
    await toy.append(
        booking, producer, *adds(1), toy.AddLater(tally="b", amount=2, seconds=1000), *adds(3, tally="b"), *adds(4)
    )
    async with at_work(database, toy.toy(faults), producer) as consumer:
        batches = []
        consumer._desk.observe = lambda number, _seconds: batches.append(number)
        await steps(consumer)
        assert await seen(booking) == [1, 4]
        assert batches == [4]
        assert await pauses.resume(booking, "booking", "handler", "booking.add-later")
        await until(consumer, lambda: _is([1, 4, 3], seen(booking)))
    assert faults.seen == [1, 4, 2, 3]


async def test_a_parked_stream_that_comes_to_a_paused_message_waits_there(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("once"), RuntimeError("twice")]}, [])
    await toy.append(booking, producer, *adds(1), toy.AddLater(tally="a", amount=2, seconds=1000), *adds(3))
    await pauses.pause(booking, "booking", "handler", "booking.add-later", "")
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await until(consumer, lambda: _is([1], seen(booking)))
        await steps(consumer)
        assert await waiting(booking) == [("tally:a", "paused by hand: handler booking.add-later", 0)]
        await pauses.resume(booking, "booking", "handler", "booking.add-later")
        await until(consumer, lambda: _is([1, 3], seen(booking)))


async def test_a_paused_consumer_does_nothing_until_it_is_resumed(database, booking, producer):
    await toy.append(booking, producer, *adds(1))
    await pauses.pause(booking, "booking", "consumer", "", "maintenance")
    async with at_work(database, toy.toy(), producer) as consumer:
        await steps(consumer)
        assert await seen(booking) == []
        assert consumer.patience_s() is None
        assert not await consumer.step()
        await pauses.resume(booking, "booking", "consumer", "")
        await until(consumer, lambda: _is([1], seen(booking)))


async def test_pauses_outlast_restarts_and_what_was_resumed_meanwhile_goes_on(database, booking, producer):
    await pauses.pause(booking, "booking", "stream", "tally:a", "")
    await pauses.pause(booking, "booking", "stream", "tally:b", "")
    await toy.append(booking, producer, *adds(1), *adds(2, tally="b"))
    for _ in range(2):
        async with at_work(database, toy.toy(), producer) as consumer:
            await steps(consumer)
            assert await seen(booking) == []
    await pauses.resume(booking, "booking", "stream", "tally:b")
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([2], seen(booking)))
        await steps(consumer)
    assert await seen(booking) == [2]


async def test_a_circuit_that_was_open_is_tried_by_the_next_process(database, booking, producer):
    provider = Provider(well=False)
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, depending(provider, first_s=60.0), producer) as consumer:
        await until(consumer, lambda: _is("open", circuit(booking)))
        await steps(consumer)
    provider.well = True
    async with at_work(database, depending(provider), producer) as consumer:
        await until(consumer, lambda: _is([100], amounts(booking)))
        await until(consumer, lambda: _is("closed", circuit(booking)))


async def test_a_dead_letter_put_back_waits_for_the_pause_too(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("no")] * 4}, [])
    service = replace(toy.toy(faults, attempts=2))
    async with at_work(database, service, producer) as consumer:
        await toy.append(booking, producer, toy.AddLater(tally="a", amount=1, seconds=1000))
        await booking.execute(
            """
            INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error, state)
            SELECT 'booking', position, stream, name, 2, 'x', 'x', 'requeued' FROM bus.outbox
            """
        )
        await pauses.pause(booking, "booking", "handler", "booking.add-later", "")
        await steps(consumer)
        assert await booking.fetchval("SELECT state FROM bus.dead_letter") == "requeued"


async def test_nobody_pauses_what_is_another_s(database, booking):
    auth = await database.connect("auth")
    with pytest.raises(Exception, match="row-level security"):
        await pauses.pause(auth, "booking", "consumer", "", "mischief")
    await pauses.pause(booking, "booking", "consumer", "", "mine")
    assert not await pauses.resume(auth, "booking", "consumer", "")
    await auth.close()
