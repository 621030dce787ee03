"""Dead letters and held streams: a person has them tried again or given up while the consumer works."""

from dataclasses import replace

import pytest

from bus import dead_letters
from bus.dead_letters import Letter, Wanted
from bus.errors import LeaseLost
from bus.identity import uuid7
from bus.message import Event
from bus.service import AfterLastAttempt, Hears
from bus.trust import Trust
from tests.bus import toy
from tests.bus.test_consumer import _is, adds, amounts, at_work, outcome, until


class Tallied(Event, name="booking.put-off", stream="tally:{tally}"):
    """Something to be added, told by an event, so that nobody waits for an answer."""

    tally: str
    amount: int


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Tries again, and looks for what a person did, at once."""
    monkeypatch.setattr("bus.retrying.full_jitter", lambda _attempt: 0.001)
    monkeypatch.setattr("bus.requeued.LOOK_EVERY_S", 0.0)


def tallying(faults: toy.Faults, *, after_last: AfterLastAttempt = AfterLastAttempt.SKIP):
    def add(_state, event, _given):
        faults.strike(event.amount)
        return [toy.Added(tally=event.tally, amount=event.amount, command=uuid7())]

    service = toy.toy()
    return replace(service, hears=[Hears(Tallied, None, add, attempts=2, after_last=after_last)], says=[toy.Added])


def failing(times: int) -> toy.Faults:
    """With two attempts, three: the batch, alone, and the one retry."""
    return toy.Faults({1: [RuntimeError("again")] * times}, [])


def told(*numbers: int) -> list[Tallied]:
    return [Tallied(tally="a", amount=number) for number in numbers]


async def letters(connection, wanted: Wanted | None = None) -> list[Letter]:
    return await dead_letters.find(connection, "booking", wanted or Wanted())


async def states(connection) -> list[str]:
    return [one.state for one in await letters(connection)]


async def test_a_requeued_message_is_done_once_after_what_its_stream_did_meanwhile(database, booking, producer):
    faults = failing(3)
    await toy.append(booking, producer, *told(1, 2))
    async with at_work(database, tallying(faults), producer) as consumer:
        await until(consumer, lambda: _is([2], amounts(booking)))
        found = await letters(booking)
        assert [(one.state, one.name, one.attempts) for one in found] == [("dead", "booking.put-off", 2)]
        await toy.append(booking, producer, *told(3))
        await until(consumer, lambda: _is([2, 3], amounts(booking)))
        assert await dead_letters.requeue(booking, "booking", found) == [found[0].position]
        await until(consumer, lambda: _is([2, 3, 1], amounts(booking)))
        for _ in range(5):
            await consumer.step()
    assert await amounts(booking) == [2, 3, 1]
    assert await letters(booking) == []


async def test_what_fails_again_is_dead_again_with_its_new_cause_and_can_be_put_back_again(database, booking, producer):
    faults = toy.Faults({1: [*[RuntimeError("a")] * 3, KeyError("c")]}, [])
    await toy.append(booking, producer, *told(1))
    async with at_work(database, tallying(faults), producer) as consumer:
        await until(consumer, lambda: _is(["dead"], states(booking)))
        await dead_letters.requeue(booking, "booking", await letters(booking))
        await until(consumer, lambda: _is([], _left(faults)))
        await until(consumer, lambda: _is(["dead"], states(booking)))
        [again] = await letters(booking)
        assert (again.attempts, again.cause.partition(" ")[0]) == (3, "KeyError")
        await dead_letters.requeue(booking, "booking", [again])
        await until(consumer, lambda: _is([1], amounts(booking)))


async def _left(faults: toy.Faults) -> list[Exception]:
    return faults.raises[1]


async def test_a_command_whose_sender_was_told_that_it_failed_is_left_alone(database, booking, producer):
    [command] = await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(failing(4)), producer) as consumer:
        await until(consumer, lambda: _is("failed", outcome(booking, command)))
        found = await letters(booking)
        assert [(one.state, one.answered) for one in found] == [("dead", "failed")]
        assert await dead_letters.requeue(booking, "booking", found) == []
        await consumer.step()
    assert await states(booking) == ["dead"]


async def test_a_held_stream_goes_on_in_order_when_it_is_requeued(database, booking, producer):
    await toy.append(booking, producer, *told(1, 2))
    service = tallying(failing(3), after_last=AfterLastAttempt.HOLD)
    async with at_work(database, service, producer) as consumer:
        await until(consumer, lambda: _is(["held"], states(booking)))
        await toy.append(booking, producer, *told(3))
        await consumer.step()
        found = await letters(booking)
        assert found[0].last > found[0].position
        assert len(await dead_letters.requeue(booking, "booking", found)) == 1
        await until(consumer, lambda: _is([1, 2, 3], amounts(booking)))
    assert await letters(booking) == []


async def test_a_held_head_that_is_discarded_is_answered_and_its_stream_goes_on(database, booking, producer):
    [command, _] = await toy.append(booking, producer, *adds(1, 2))
    service = toy.toy(failing(99), attempts=2, after_last=AfterLastAttempt.HOLD)
    async with at_work(database, service, producer) as consumer:
        await until(consumer, lambda: _is(["held"], states(booking)))
        assert len(await dead_letters.discard(booking, "booking", await letters(booking))) == 1
        await until(consumer, lambda: _is([2], amounts(booking)))
    assert await outcome(booking, command) == "failed"
    assert await states(booking) == ["discarded"]


async def test_what_is_discarded_is_not_tried_although_it_was_requeued_before(database, booking, producer):
    await toy.append(booking, producer, *told(1))
    async with at_work(database, tallying(failing(3)), producer) as consumer:
        await until(consumer, lambda: _is(["dead"], states(booking)))
        await dead_letters.requeue(booking, "booking", await letters(booking))
        await dead_letters.discard(booking, "booking", await letters(booking))
        for _ in range(3):
            await consumer.step()
    assert (await amounts(booking), await states(booking)) == ([], ["discarded"])


async def test_a_requeued_message_that_kills_its_process_does_so_once(database, booking, producer):
    class Died(BaseException):
        """Stands for the end of the process."""

    def die(_state, _event, _given):
        raise Died

    await toy.append(booking, producer, *told(1))
    async with at_work(database, tallying(failing(3)), producer) as consumer:
        await until(consumer, lambda: _is(["dead"], states(booking)))
    await dead_letters.requeue(booking, "booking", await letters(booking))
    deadly = replace(tallying(failing(0)), hears=[Hears(Tallied, None, die)])
    with pytest.raises(Died):
        async with at_work(database, deadly, producer) as consumer:
            await consumer.step()
    async with at_work(database, deadly, producer) as consumer:
        await consumer.step()
    assert [(one.state, one.attempts) for one in await letters(booking)] == [("dead", 3)]


async def test_requeueing_entitles_nobody(database, booking, producer):
    async def nobody(_token):
        return None

    await toy.append(booking, producer, *told(1))
    async with at_work(database, tallying(failing(0)), producer, trust=Trust(nobody)) as consumer:
        await until(consumer, lambda: _is(["dead"], states(booking)))
        await dead_letters.requeue(booking, "booking", await letters(booking))
        await consumer.step()
    assert (await amounts(booking), await states(booking)) == ([], ["dead"])


async def test_what_lies_inside_a_parked_streams_waiting_part_is_not_done_beside_it(database, booking, producer):
    """Done now and taken from the dead letters, it would be drained once more with what waits around it."""
    forger = await toy.register(booking, toy.NAMES)

    class Strict(toy.AllTrusted):
        strict = True

        async def strangers(self, _connection, envelopes):
            return [one for one in envelopes if self.strict and one.producer == forger.id]

    trust = Strict()
    service = tallying(toy.Faults({1: [RuntimeError("x")] * 3}, []), after_last=AfterLastAttempt.HOLD)
    await toy.append(booking, producer, *told(1))
    await toy.append(booking, forger, *told(7))
    await toy.append(booking, producer, *told(2))
    async with at_work(database, service, producer, trust=trust) as consumer:
        await until(consumer, lambda: _is(["held", "dead"], states(booking)))
        [held, dead] = await letters(booking)
        assert held.position < dead.position < held.last
        trust.strict = False
        await dead_letters.requeue(booking, "booking", [dead])
        await consumer.step()
        assert await states(booking) == ["held", "requeued"]
        await dead_letters.requeue(booking, "booking", [held])
        await until(consumer, lambda: _is([1, 2, 7], amounts(booking)))
    assert await letters(booking) == []


async def test_a_worker_that_lost_its_lease_does_no_requeued_message(database, booking, producer):
    await toy.append(booking, producer, *told(1))
    async with at_work(database, tallying(failing(3)), producer) as sleeper:
        await until(sleeper, lambda: _is(["dead"], states(booking)))
        await dead_letters.requeue(booking, "booking", await letters(booking))
        await booking.execute("SELECT bus.leave('booking', (SELECT fence FROM bus.worker), 0)")
        with pytest.raises(LeaseLost):
            await sleeper.step()
    assert (await amounts(booking), await states(booking)) == ([], ["requeued"])


async def test_letters_are_chosen_by_position_stream_and_cause(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("x")] * 3, 2: [KeyError("y")] * 3}, [])
    await toy.append(booking, producer, *told(1), Tallied(tally="b", amount=2))
    async with at_work(database, tallying(faults), producer) as consumer:
        await until(consumer, lambda: _is(["dead", "dead"], states(booking)))
    [first, second] = await letters(booking)
    assert await letters(booking, Wanted(positions=(first.position,))) == [first]
    assert await letters(booking, Wanted(stream="tally:b")) == [second]
    assert await letters(booking, Wanted(cause="KeyError")) == [second]
    assert await letters(booking, Wanted(cause="KeyError", stream="tally:a")) == []
    other = await database.connect("payment")
    assert await dead_letters.find(other, "booking", Wanted()) == []
    await other.close()
