"""Outcomes: found at once, or waited for; nobody who waits is forgotten."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bus import outcomes as outcomes_module
from bus.bell import Bell, Ringer
from bus.group_commit import accept_all
from bus.identity import uuid7
from bus.outbox import Outbox, Said, Status
from bus.outcomes import Outcomes
from bus.tasks import running
from tests.bus import toy

WITHIN_S = 10.0


class HeardBell(Bell):
    """Says that it listens, and rings by hand alone."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.listening = True

    def ring(self) -> None:
        self.wake()


@asynccontextmanager
async def looking(pool, bell: Bell) -> AsyncIterator[Outcomes]:
    outcomes = Outcomes(pool, bell)
    async with running(outcomes.run()):
        yield outcomes


async def waits(outcomes: Outcomes, command, many: int = 1) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(outcomes._waiting.get(command, ())) < many:
            await asyncio.sleep(0)


async def conclude(connection, producer, command, amount: int = 1, status: Status = "done") -> None:
    added = toy.Added(tally="a", amount=amount, command=command)
    said = Said(added, "service:booking", command, command, concludes=command, status=status)
    await Outbox(toy.toy(), producer).append(connection, [said])


async def test_an_outcome_names_the_event_that_gave_it(pool, booking, producer):
    command = uuid7()
    outcomes = Outcomes(pool, HeardBell())
    assert await outcomes.find(command) is None
    await conclude(booking, producer, command, amount=7)
    found = await outcomes.find(command)
    row = await booking.fetchrow("SELECT position, at FROM bus.outbox WHERE name = 'booking.added'")
    assert found is not None
    assert (found.command, found.status, found.epoch, found.name) == (command, "done", 1, "booking.added")
    assert (found.position, found.at, found.body["amount"]) == (row["position"], row["at"], 7)


async def test_what_was_accepted_is_known_with_who_asked(pool, gateway, gate):
    asked = toy.asked("a", 1)
    await accept_all(gateway, gate.id, [asked])
    outcomes = Outcomes(pool, HeardBell())
    known = await outcomes.known(asked.id)
    assert known is not None
    assert (known.command, known.actor, known.name) == (asked.id, "person:x", "booking.add")
    assert await outcomes.known(uuid7()) is None


async def test_an_outcome_that_is_there_already_is_answered_at_once(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    command = uuid7()
    await conclude(booking, producer, command)
    async with looking(pool, HeardBell()) as outcomes:
        assert await outcomes.wait(command, WITHIN_S) is not None


async def test_a_ring_brings_the_outcome_to_all_who_wait_for_it(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    bell = HeardBell()
    command = uuid7()
    async with looking(pool, bell) as outcomes:
        waiting = [asyncio.create_task(outcomes.wait(command, WITHIN_S)) for _ in range(3)]
        await waits(outcomes, command, 3)
        await conclude(booking, producer, command)
        bell.ring()
        answers = await asyncio.gather(*waiting)
    assert {answer.command for answer in answers if answer is not None} == {command}
    assert None not in answers


async def test_without_a_ring_it_is_found_a_little_later(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 0.05)
    command = uuid7()
    async with looking(pool, HeardBell()) as outcomes:
        waiting = asyncio.create_task(outcomes.wait(command, WITHIN_S))
        await waits(outcomes, command)
        await conclude(booking, producer, command)
        assert await waiting is not None


async def test_whoever_waits_in_vain_is_told_so_in_time_and_forgotten(pool):
    async with looking(pool, HeardBell()) as outcomes:
        began = time.monotonic()
        assert await outcomes.wait(uuid7(), 0.1) is None
        assert time.monotonic() - began < 2
        assert not outcomes._waiting


async def test_whoever_leaves_is_forgotten_and_the_others_are_served(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    bell = HeardBell()
    command = uuid7()
    async with looking(pool, bell) as outcomes:
        leaves, stays = (asyncio.create_task(outcomes.wait(command, WITHIN_S)) for _ in range(2))
        await waits(outcomes, command, 2)
        leaves.cancel()
        await conclude(booking, producer, command)
        bell.ring()
        assert await stays is not None
        assert not outcomes._waiting


async def test_whoever_comes_while_it_is_looking_is_not_overlooked(monkeypatch, pool, booking, producer):
    """With no ring and no polling, joining is itself what makes it look again."""
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    chance = random.Random(5)
    commands = [uuid7() for _ in range(60)]
    for command in commands:
        await conclude(booking, producer, command)

    async def comes(outcomes: Outcomes, command) -> bool:
        await asyncio.sleep(chance.random() * 0.1)
        return await outcomes.wait(command, WITHIN_S) is not None

    async with looking(pool, HeardBell()) as outcomes:
        assert all(await asyncio.gather(*(comes(outcomes, command) for command in commands)))


async def test_a_ring_while_it_is_looking_makes_it_look_again(monkeypatch, pool, booking, producer):
    """The look under way may have asked just before the outcome was there."""
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    bell = HeardBell()
    command = uuid7()
    async with looking(pool, bell) as outcomes:
        find, late = outcomes._find, True

        async def finding(commands):
            nonlocal late
            found = await find(commands)
            if late:
                late = False
                await conclude(booking, producer, command)
                bell.ring()
            return found

        monkeypatch.setattr(outcomes, "_find", finding)
        assert await outcomes.wait(command, 5) is not None


async def test_under_load_with_real_bells_nobody_waits_until_the_end(monkeypatch, database, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 3600.0)
    bell, ringer = Bell(database.url("gateway"), "test"), Ringer(database.url("booking"), "test")
    commands = [uuid7() for _ in range(80)]
    chance = random.Random(11)

    async def service() -> None:
        for command in commands:
            await conclude(booking, producer, command)
            ringer.ring()
            await asyncio.sleep(chance.random() * 0.005)

    async with running(bell.run(), ringer.run()), looking(pool, bell) as outcomes:
        async with asyncio.timeout(WITHIN_S):
            while not bell.listening:
                await asyncio.sleep(0.005)
        waiting = [asyncio.create_task(outcomes.wait(command, WITHIN_S)) for command in commands]
        await service()
        answers = await asyncio.gather(*waiting)
    assert [answer and answer.command for answer in answers] == commands


async def test_a_database_that_is_away_is_waited_for(monkeypatch, database, pool, booking, producer):
    monkeypatch.setattr(outcomes_module, "LOOK_AT_LEAST_EVERY_S", 0.02)
    command = uuid7()
    async with looking(pool, HeardBell()) as outcomes:
        waiting = asyncio.create_task(outcomes.wait(command, WITHIN_S))
        admin = await database.connect("postgres")
        ended = 0
        async with asyncio.timeout(WITHIN_S):
            while ended < 3:
                ended += await admin.fetchval(
                    """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE application_name = 'test' AND datname = current_database()
                    """
                )
        await admin.close()
        await conclude(booking, producer, command)
        assert await waiting is not None


@pytest.mark.parametrize("status", ["done", "rejected", "failed"])
async def test_the_status_is_told(pool, booking, producer, status):
    command = uuid7()
    await conclude(booking, producer, command, status=status)
    found = await Outcomes(pool, HeardBell()).find(command)
    assert found is not None
    assert found.status == status
