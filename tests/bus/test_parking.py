"""Parked streams: order is kept and each message has its one effect, whatever fails, restarts or wakes up late."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus import parking
from bus.connection import is_producer_expired
from bus.consumer import Consumer
from bus.desk import Desk
from bus.errors import Later, LeaseLost
from bus.identity import uuid7
from bus.membership import Membership
from bus.message import Event
from bus.outbox import Outbox
from bus.partitions import NONE
from bus.service import AfterLastAttempt, Hears
from tests.bus import toy
from tests.bus.test_consumer import _is, _until_all_are_held, adds, amounts, at_work, outcome, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Tries again at once."""
    monkeypatch.setattr("bus.retrying.full_jitter", lambda _attempt: 0.001)


def failing(**times: int) -> toy.Faults:
    """Amount 1 fails so many times: failing(_1=3)."""
    return toy.Faults({int(name[1:]): [RuntimeError("again")] * many for name, many in times.items()}, [])


async def test_a_worker_that_lost_its_lease_while_draining_leaves_the_stream_as_its_successor_put_it(
    monkeypatch, database, booking, producer
):
    """It wakes up with a list of what waited then. Moving the head back would make its successor do it all again."""
    faults = toy.Faults({1: [RuntimeError("a"), RuntimeError("b")], 3: [Later(0.001), Later(0.001), Later(3600)]}, [])
    await toy.append(booking, producer, *adds(1, 2, 3))
    waiting = parking.waiting
    async with at_work(database, toy.toy(faults), producer) as sleeper:
        await sleeper.step()
        assert await booking.fetchval("SELECT last - head FROM bus.parked") == 2

        async def slept(*args):
            found = await waiting(*args)
            monkeypatch.setattr(parking, "waiting", waiting)
            await booking.execute("SELECT bus.leave('booking', (SELECT fence FROM bus.worker), 0)")
            async with at_work(database, toy.toy(faults), producer) as successor:
                await until(successor, lambda: _is([1, 2], amounts(booking)))
                await until(successor, lambda: _is([], _nothing(faults.raises[3])))
            return found

        monkeypatch.setattr(parking, "waiting", slept)
        with pytest.raises(LeaseLost):
            await until(sleeper, lambda: _is([1, 2, 3], amounts(booking)))
    assert await amounts(booking) == [1, 2]
    await booking.execute("UPDATE bus.parked SET retry_at = now()")
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await until(consumer, lambda: _is([1, 2, 3], amounts(booking)))
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0


async def _nothing(left: Sequence[object]) -> Sequence[object]:
    return left


@pytest.mark.parametrize("after_last", [AfterLastAttempt.HOLD, AfterLastAttempt.SKIP])
async def test_a_worker_that_lost_its_lease_neither_holds_nor_gives_up_nor_counts(
    database, booking, producer, after_last
):
    faults = failing(_1=99)
    await toy.append(booking, producer, *adds(1))
    service = toy.toy(faults, attempts=2, after_last=after_last)
    async with at_work(database, service, producer) as sleeper:
        await sleeper.step()
        await booking.execute("SELECT bus.leave('booking', (SELECT fence FROM bus.worker), 0)")
        async with at_work(database, toy.toy(), producer):
            with pytest.raises(LeaseLost):
                await until(sleeper, lambda: _is(0, booking.fetchval("SELECT count(*) FROM bus.parked")))
    row = await booking.fetchrow("SELECT attempts, held FROM bus.parked")
    assert (row["attempts"], row["held"]) == (1, False)
    assert await booking.fetchval("SELECT count(*) FROM bus.dead_letter") == 0


async def test_a_message_nobody_was_entitled_to_send_is_not_done_with_what_waits_around_it(database, booking, producer):
    """It is a dead letter at once, and lies between the head and the last of its parked stream."""
    forger = await toy.register(booking, toy.NAMES)

    class NotTheForger(toy.AllTrusted):
        async def strangers(self, _connection, envelopes):
            return [one for one in envelopes if one.producer == forger.id]

    faults = failing(_1=2)
    await toy.append(booking, producer, *adds(1, 2))
    await toy.append(booking, forger, *adds(666))
    await toy.append(booking, producer, *adds(3))
    async with at_work(database, toy.toy(faults), producer, trust=NotTheForger()) as consumer:
        await until(consumer, lambda: _is([1, 2, 3], amounts(booking)))
    assert 666 not in faults.seen
    assert await booking.fetchval("SELECT count(*) FROM bus.dead_letter") == 1
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0


async def test_what_a_retried_message_schedules_goes_out_although_nothing_else_comes(database, booking, producer):
    faults = failing(_7=3)
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.05))
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await until(consumer, lambda: _is([7], amounts(booking)))


class Came(Event, name="armory.came", stream="tally:{tally}"):
    """Another service's event, in the stream of a tally."""

    tally: str


async def test_a_stream_with_nothing_that_is_still_heard_is_forgotten_and_does_not_spin(database, booking):
    def not_now(_state, _event, _given):
        raise Later(0.001)

    older = replace(toy.toy(), hears=[*toy.toy().hears, Hears(Came, None, not_now)])
    producer = await toy.register(booking, [*toy.NAMES, Came.name])
    await toy.append(booking, producer, Came(tally="a"))
    async with at_work(database, older, producer) as consumer:
        await until(consumer, lambda: _is(1, booking.fetchval("SELECT count(*) FROM bus.parked")))
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is(0, booking.fetchval("SELECT count(*) FROM bus.parked")))
        assert not await consumer.step()
        assert consumer.patience_s() is None
        await toy.append(booking, producer, *adds(1))
        await until(consumer, lambda: _is([1], amounts(booking)))


@pytest.mark.parametrize("met", ["in a batch", "in a parked stream"])
async def test_a_command_whose_name_this_code_does_not_know_waits_visibly_for_code_that_does(
    database, booking, producer, met
):
    """It is this service's to answer: passing it over would leave its sender without an answer for ever."""
    faults = toy.Faults({7: [Later(0.001)] * 9}, [])
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.05), *adds(9, tally="b"))
    if met == "in a parked stream":
        async with at_work(database, toy.toy(faults), producer) as consumer:
            await until(consumer, lambda: _is(1, booking.fetchval("SELECT count(*) FROM bus.parked")))
    ignorant = replace(toy.toy(), hears=[toy.toy().hears[0]])
    async with at_work(database, ignorant, producer) as consumer:
        await until(consumer, lambda: _is("UnknownMessage", _what_it_waits_for(booking)))
        await toy.append(booking, producer, *adds(1))
        await until(consumer, lambda: _is(2, booking.fetchval("SELECT sum(2) FROM tally WHERE tally = 'b'")))
        assert not await consumer.step()
        assert (consumer.patience_s() or 0) > 1, "and does not spin"
        assert await amounts(booking) == []
    assert await booking.fetchval("SELECT attempts FROM bus.parked") == 0
    await booking.execute("UPDATE bus.parked SET retry_at = now()")
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([1, 7], amounts(booking)))


async def _what_it_waits_for(connection: asyncpg.Connection) -> str:
    cause = await connection.fetchval("SELECT cause FROM bus.parked WHERE stream = 'tally:a'")
    return str(cause).partition(" ")[0]


async def test_what_others_say_by_names_that_this_code_does_not_know_is_passed_over(database, booking):
    """Events of one's own, commands to others and events of others are nobody's business here."""
    producer = await toy.register(booking, [*toy.NAMES, Came.name])
    await toy.append(booking, producer, toy.Put(tally="a"), Came(tally="a"), *adds(1))
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([1], amounts(booking)))
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0


async def test_losing_a_race_counts_as_no_attempt_in_a_retry_either(database, booking, producer):
    races = [asyncpg.DeadlockDetectedError("x"), asyncpg.SerializationError("x"), asyncpg.ExclusionViolationError("x")]
    faults = toy.Faults({1: [RuntimeError("batch"), RuntimeError("single"), *races]}, [])
    [command] = await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(faults, attempts=2), producer) as consumer:
        await until(consumer, lambda: _is([1], amounts(booking)))
    assert await outcome(booking, command) == "done"


async def test_losing_a_race_for_ever_is_a_failure_in_the_end(database, booking, producer):
    faults = toy.Faults({1: [asyncpg.ExclusionViolationError("always")] * 999}, [])
    [command, next_] = await toy.append(booking, producer, *adds(1, 2))
    async with at_work(database, toy.toy(faults, attempts=2), producer) as consumer:
        await until(consumer, lambda: _is("done", outcome(booking, next_)))
    assert await outcome(booking, command) == "failed"


async def test_a_token_that_ran_out_blames_no_message(database, booking, producer):
    await toy.append(booking, producer, *adds(1, 2))
    expired = await toy.register(booking, toy.NAMES, for_s=-1)
    async with at_work(database, toy.toy(), expired) as consumer:
        with pytest.raises(asyncpg.PostgresError) as error:
            await consumer.step()
        assert is_producer_expired(error.value)
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([1, 2], amounts(booking)))


async def test_a_handler_that_misuses_its_connection_is_its_messages_failure(database, booking, producer):
    async def misuses(connection, command):
        if command.amount == 1:
            await connection.fetchval("SELECT $1::int")

    service = toy.toy()
    wrong = replace(service, hears=[Hears(toy.Add, misuses, service.hears[0].decide, attempts=1), *service.hears[1:]])
    [bad, good] = await toy.append(booking, producer, *adds(1, 2))
    async with at_work(database, wrong, producer) as consumer:
        await until(consumer, lambda: _is("done", outcome(booking, good)))
    assert await outcome(booking, bad) == "failed"


async def test_what_only_waits_is_not_blamed_for_a_crash(monkeypatch, database, booking, producer):
    """After an unclean takeover each try is counted before it is made; waiting behind a head is no try."""
    faults = toy.Faults({1: [RuntimeError("batch"), Later(3600)]}, [])
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await consumer.step()
    await toy.append(booking, producer, *adds(2), *adds(9, tally="b"))
    connection, dying = await database.connect("booking"), await database.connect("booking")
    killed = Membership(dying, toy.toy(), uuid7())
    await killed.enter()
    await killed.balance(booking, suspect=NONE)
    dying.terminate()
    heartbeat = await database.connect("booking")
    membership = Membership(heartbeat, toy.toy(), uuid7())
    await membership.enter()
    desk = Desk(toy.toy(faults), connection, membership, Outbox(toy.toy(), producer), lambda: None)
    consumer = Consumer(desk, toy.AllTrusted())
    counted = []
    begin = consumer._begin_counted

    async def counting(front, envelope):
        counted.append(envelope.stream)
        return await begin(front, envelope)

    monkeypatch.setattr(consumer, "_begin_counted", counting)
    await _until_all_are_held(consumer, membership)
    await consumer.step()
    assert counted == ["tally:b"]
    assert await amounts(booking, "b") == [9]
    assert await booking.fetchval("SELECT last - head FROM bus.parked") > 0, "and it waits all the same"
    await connection.close()
    await heartbeat.close()


async def test_what_only_newer_code_knows_stays_scheduled_and_stops_nobody(database, booking, producer):
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    await booking.execute(
        """
        INSERT INTO bus.scheduled (service, key, due_at, name, schema, stream, body, correlation, actor)
        VALUES ('booking', 'new name', '2000-01-01', 'booking.unheard-of', 1, 's', '{}', uuidv7(), 'x'),
               ('booking', 'new shape', '2000-01-01', 'booking.add', 2, 's', '{}', uuidv7(), 'x')
        """
    )
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([7], amounts(booking)))
        assert not await consumer.step()
        assert consumer.patience_s() is None
    assert await booking.fetchval("SELECT count(*) FROM bus.scheduled") == 2


# Whatever goes wrong

TALLIES = ("a", "b", "c")
FAULT = st.sampled_from(["bug", "later", "race"])
PLAN = st.lists(st.tuples(st.sampled_from(TALLIES), st.lists(FAULT, max_size=4)), min_size=1, max_size=14)


def error_of(fault: str) -> Exception:
    return {"bug": RuntimeError("bug"), "later": Later(0.001), "race": asyncpg.SerializationError("race")}[fault]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=PLAN, batch=st.integers(1, 6), seed=st.integers(0, 999))
async def test_each_message_has_one_effect_in_its_streams_order_whatever_fails_and_restarts(
    database, booking, producer, plan, batch, seed
):
    chance = random.Random(seed)
    run = str(uuid7())
    faults = toy.Faults({number: [error_of(one) for one in bad] for number, (_, bad) in enumerate(plan)}, [])
    messages = [toy.Add(tally=f"{run}-{tally}", amount=number) for number, (tally, _) in enumerate(plan)]
    service = toy.toy(faults, attempts=50)
    cuts = sorted(chance.randrange(len(messages) + 1) for _ in range(2))
    for piece in (messages[: cuts[0]], messages[cuts[0] : cuts[1]], messages[cuts[1] :]):
        if piece:
            await toy.append(booking, producer, *piece)
        async with at_work(database, service, producer, batch=batch) as consumer:
            for _ in range(chance.randrange(5)):
                await consumer.step()
    async with at_work(database, service, producer, batch=batch) as consumer:
        await until(
            consumer,
            lambda: _is(len(plan), booking.fetchval("SELECT count(*) FROM tally WHERE tally LIKE $1 || '%'", run)),
        )
        await consumer.step()
    for tally in TALLIES:
        wanted = [number for number, (one, _) in enumerate(plan) if one == tally]
        assert await amounts(booking, f"{run}-{tally}") == wanted
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0
    rows = await booking.fetch("SELECT from_position, to_position FROM bus.progress ORDER BY from_position")
    assert rows[0]["from_position"] == 0
    assert all(one["to_position"] == next_["from_position"] for one, next_ in pairwise(rows))
