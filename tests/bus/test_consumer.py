"""The consumer: exactly one effect, order inside a stream, and what becomes of messages that fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from bus.consumer import Consumer
from bus.desk import Desk
from bus.errors import Later, LeaseLost
from bus.identity import uuid7
from bus.membership import Membership
from bus.outbox import Outbox
from bus.partitions import ALL, NONE
from bus.service import AfterLastAttempt, Service
from bus.trust import Trust
from tests.bus import toy
from tests.database import Database


@asynccontextmanager
async def at_work(
    database: Database, service: Service, producer, *, trust: Trust | None = None, batch: int = 100, dsn: str = ""
) -> AsyncIterator[Consumer]:
    connection = await asyncpg.connect(dsn or database.url("booking"))
    heartbeat = await database.connect("booking")
    membership = Membership(heartbeat, service, uuid7())
    await membership.enter()
    desk = Desk(service, connection, membership, Outbox(service, producer), lambda: None)
    consumer = Consumer(desk, trust or toy.AllTrusted(), batch=batch)
    await consumer.open()
    try:
        yield consumer
    finally:
        await connection.close()
        if not heartbeat.is_closed():
            await membership.leave(heartbeat, suspect=NONE)
            await heartbeat.close()


async def until(consumer: Consumer, condition: Callable[[], Awaitable[bool]], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            if not await consumer.step():
                patience_s = consumer.patience_s()
                await asyncio.sleep(0.02 if patience_s is None else min(0.02, patience_s))


async def amounts(connection: asyncpg.Connection, tally: str = "a") -> list[int]:
    rows = await connection.fetch("SELECT amount FROM tally WHERE tally = $1 ORDER BY ctid", tally)
    return [row["amount"] for row in rows]


async def outcome(connection: asyncpg.Connection, command: UUID) -> Any:
    return await connection.fetchval("SELECT status FROM bus.outcome WHERE command = $1", command)


def adds(*numbers: int, tally: str = "a") -> list[toy.Add]:
    return [toy.Add(tally=tally, amount=number) for number in numbers]


async def test_each_command_has_its_effect_its_event_and_its_outcome(database, booking, producer):
    commands = await toy.append(booking, producer, *adds(1, 2, 3))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == [1, 2, 3]
    assert [await outcome(booking, one) for one in commands] == ["done"] * 3
    events = await booking.fetch(
        "SELECT cause, revision FROM bus.outbox WHERE name = 'booking.added' ORDER BY position"
    )
    assert [row["cause"] for row in events] == commands
    assert [row["revision"] for row in events] == [1, 2, 3]


async def test_a_new_worker_goes_on_where_the_last_one_stopped(database, booking, producer):
    await toy.append(booking, producer, *adds(1, 2, 3))
    for _ in range(3):
        async with at_work(database, toy.toy(), producer, batch=1) as consumer:
            await consumer.step()
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([1, 2, 3], amounts(booking)))
        await consumer.step()
    assert await amounts(booking) == [1, 2, 3]


async def _is(wanted: object, result: Awaitable[object]) -> bool:
    return bool(await result == wanted)


async def test_a_rejection_changes_nothing_and_says_which_rule_and_why(database, booking, producer):
    [command] = await toy.append(booking, producer, *adds(5000))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == []
    assert await outcome(booking, command) == "rejected"
    body = await booking.fetchval("SELECT body FROM bus.outbox WHERE name = 'booking.command-rejected'")
    rejected = toy.CommandRejected.read(1, body)
    assert (rejected.rule, rejected.rule_version, rejected.refused_by) == ("too-much", 1, "booking")
    assert rejected.reason == "5000 is too much at once."


async def test_a_failing_message_parks_its_stream_and_lets_the_others_go_on(database, booking, producer):
    faults = toy.Faults({2: [RuntimeError("first"), RuntimeError("second")]}, [])
    await toy.append(booking, producer, *adds(1, 2, 3), *adds(9, tally="b"), *adds(4))
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await consumer.step()
        assert await amounts(booking) == [1]
        assert await amounts(booking, "b") == [9]
        await until(consumer, lambda: _is([1, 2, 3, 4], amounts(booking)))
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0


async def test_what_comes_while_a_stream_is_parked_waits_behind_its_head_across_a_restart(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("once"), Later(0.05)]}, [])
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await consumer.step()
        await toy.append(booking, producer, *adds(2))
        await consumer.step()
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await toy.append(booking, producer, *adds(3))
        await until(consumer, lambda: _is([1, 2, 3], amounts(booking)))


async def test_after_the_last_attempt_a_command_fails_and_its_stream_goes_on(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("again")] * 99}, [])
    [bad, good] = await toy.append(booking, producer, *adds(1, 2))
    async with at_work(database, toy.toy(faults, attempts=3), producer) as consumer:
        await until(consumer, lambda: _is([2], amounts(booking)))
    assert await outcome(booking, bad) == "failed"
    assert await outcome(booking, good) == "done"
    assert faults.seen.count(1) == 1 + 3, "once with its batch, then three counted tries"
    letter = await booking.fetchrow("SELECT name, attempts, cause, error FROM bus.dead_letter")
    assert (letter["name"], letter["attempts"]) == ("booking.add", 3)
    assert "RuntimeError in toy.py:strike" in letter["cause"]


async def test_a_stream_whose_policy_is_to_hold_waits_for_a_person(database, booking, producer):
    faults = toy.Faults({1: [RuntimeError("again")] * 99}, [])
    await toy.append(booking, producer, *adds(1, 2), *adds(9, tally="b"))
    service = toy.toy(faults, attempts=2, after_last=AfterLastAttempt.HOLD)
    async with at_work(database, service, producer) as consumer:
        await until(consumer, lambda: _is(1, booking.fetchval("SELECT count(*) FROM bus.parked WHERE held")))
        await toy.append(booking, producer, *adds(3))
        await consumer.step()
    assert await amounts(booking) == []
    assert await amounts(booking, "b") == [9]


async def test_what_is_only_away_is_not_counted_as_an_attempt(database, booking, producer):
    faults = toy.Faults({1: [Later(0.005) for _ in range(20)]}, [])
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(faults, attempts=2), producer) as consumer:
        await until(consumer, lambda: _is([1], amounts(booking)))


async def test_a_serialization_error_redoes_the_message_without_parking_it(database, booking, producer):
    faults = toy.Faults({1: [asyncpg.SerializationError("again"), asyncpg.DeadlockDetectedError("again")]}, [])
    await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(faults), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == [1]
    assert await booking.fetchval("SELECT count(*) FROM bus.parked") == 0


async def test_a_scheduled_message_goes_out_once_when_it_is_due(database, booking, producer):
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.2))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
        assert await amounts(booking) == []
        assert 0 < (consumer.patience_s() or 0) <= 0.2
        await until(consumer, lambda: _is([7], amounts(booking)))
        await consumer.step()
    assert await amounts(booking) == [7]
    assert await booking.fetchval("SELECT count(*) FROM bus.scheduled") == 0


async def test_a_scheduled_message_survives_its_worker(database, booking, producer):
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.1))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([7], amounts(booking)))


async def test_a_worker_that_lost_its_lease_writes_nothing(database, booking, producer):
    async with at_work(database, toy.toy(), producer) as sleeper:
        await booking.execute("SELECT bus.leave('booking', (SELECT fence FROM bus.worker), 0)")
        async with at_work(database, toy.toy(), producer) as successor:
            await toy.append(booking, producer, *adds(1))
            with pytest.raises(LeaseLost):
                await sleeper.step()
            assert await amounts(booking) == []
            await successor.step()
    assert await amounts(booking) == [1]


async def test_a_message_that_kills_its_process_is_given_up_after_its_attempts(database, booking, producer):
    """A process that dies cannot count its own failure: the count is committed before each try."""
    [killer, other] = await toy.append(booking, producer, *adds(666), *adds(1, tally="b"))

    class Died(BaseException):
        """Stands for the end of the process."""

    def die(_state, command, given):
        if command.amount == 666:
            raise Died
        return [toy.Added(tally=command.tally, amount=command.amount, command=given.id)]

    service = toy.toy()
    deadly = type(service)(
        **{**service.__dict__, "hears": [type(service.hears[0])(toy.Add, None, die), *service.hears[1:]]}
    )
    for _ in range(20):
        connection = await database.connect("booking")
        heartbeat = await database.connect("booking")
        membership = Membership(heartbeat, deadly, uuid7())
        await membership.enter()
        desk = Desk(deadly, connection, membership, Outbox(deadly, producer), lambda: None)
        consumer = Consumer(desk, toy.AllTrusted())
        await _until_all_are_held(consumer, membership)
        try:
            await consumer.step()
        except Died:
            continue
        finally:
            connection.terminate()
            heartbeat.terminate()
        break
    assert await outcome(booking, killer) == "failed"
    assert await outcome(booking, other) == "done"
    assert await amounts(booking, "b") == [1]


async def _until_all_are_held(consumer: Consumer, membership: Membership) -> None:
    """The database sees a little later that the connections of the one before have ended."""
    await consumer.open()
    async with asyncio.timeout(10):
        while membership.partitions != ALL:
            await asyncio.sleep(0.01)
            await consumer.open()


async def test_progress_rows_tell_every_position_exactly_once(database, booking, producer):
    await toy.append(booking, producer, *adds(*range(50)))
    async with at_work(database, toy.toy(), producer, batch=7) as consumer:
        while await consumer.step():
            pass
        await consumer.write_progress()
    rows = await booking.fetch("SELECT from_position, to_position, count FROM bus.progress ORDER BY from_position")
    assert rows[0]["from_position"] == 0
    assert all(a["to_position"] == b["from_position"] for a, b in pairwise(rows))
    assert sum(row["count"] for row in rows) == 50


async def test_a_message_nobody_was_entitled_to_send_is_set_aside_and_changes_nothing(database, booking, producer):
    async def nobody(_token):
        return None

    await toy.append(booking, producer, *adds(1))
    async with at_work(database, toy.toy(), producer, trust=Trust(nobody)) as consumer:
        await consumer.step()
    assert await amounts(booking) == []
    assert "NotEntitled" in await booking.fetchval("SELECT cause FROM bus.dead_letter")


async def test_a_message_of_a_newer_schema_waits_for_newer_code(database, booking, producer):
    await toy.append(booking, producer, *adds(1))
    admin = await database.connect("postgres")
    await admin.execute("UPDATE bus.outbox SET schema = 2")
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
        assert await booking.fetchval("SELECT attempts FROM bus.parked WHERE stream = 'tally:a'") == 0
        await admin.execute("UPDATE bus.outbox SET schema = 1")
        await admin.execute("UPDATE bus.parked SET retry_at = now()")
    async with at_work(database, toy.toy(), producer) as consumer:
        await until(consumer, lambda: _is([1], amounts(booking)))
    await admin.close()
