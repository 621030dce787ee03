"""Old messages are read by new code as it wants them, and new ones wait, for all to see, until new code has come."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest

from bus.connection import Connection
from bus.errors import UnknownMessage
from bus.message import Command, Event
from bus.replay import Selection, as_json, replay
from bus.service import Given, Hears, Schedule, Service
from handlers.rebuild import rebuild, verify
from tests.bus import toy
from tests.bus.test_consumer import _is, adds, amounts, at_work, outcome, until


class Add(Command, name="booking.add", stream="tally:{tally}", version=2):
    """Add to a tally, in tenths."""

    tally: str
    tenths: int

    upcasts: ClassVar = {1: lambda body: {"tally": body["tally"], "tenths": body["amount"] * 10}}


class Added(Event, name="booking.added", stream="tally:{tally}", version=2):
    """So many tenths were added."""

    tally: str
    tenths: int
    command: UUID

    upcasts: ClassVar = {
        1: lambda body: {"tally": body["tally"], "tenths": body["amount"] * 10, "command": body["command"]}
    }


async def _added(connection: Connection, event: Added) -> None:
    await connection.execute(
        "INSERT INTO tally (tally, amount, command) VALUES ($1, $2, $3)", event.tally, event.tenths, event.command
    )


def _add(_state: None, command: Add, given: Given) -> Sequence[Event]:
    return [Added(tally=command.tally, tenths=command.tenths, command=given.id)]


def newer(hears: type[Command] = Add, *, attempts: int = 3) -> Service:
    """The toy, one version later: it counts in tenths."""
    return replace(
        toy.toy(),
        hears=[Hears(hears, None, _add, attempts=attempts)],
        says=[Added],
        applies={Added: _added},
        asks_itself=[hears],
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Looks again at once, for faults and for what is too new."""
    monkeypatch.setattr("bus.retrying.full_jitter", lambda _attempt: 0.001)
    monkeypatch.setattr("bus.retrying.UNKNOWN_RETRY_S", 0.001)


async def parked(booking: asyncpg.Connection) -> asyncpg.Record | None:
    return await booking.fetchrow("SELECT stream, attempts, held, cause, error FROM bus.parked")


# Older ones


async def test_an_older_command_is_handled_and_what_is_said_is_of_the_present_version(database, booking, producer):
    [old] = await toy.append(booking, producer, *adds(1))
    [new] = await toy.append(booking, producer, Add(tally="a", tenths=25))
    async with at_work(database, newer(), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == [10, 25]
    assert [await outcome(booking, one) for one in (old, new)] == ["done", "done"]
    said = await booking.fetch("SELECT schema, body FROM bus.outbox WHERE name = 'booking.added' ORDER BY position")
    assert [(row["schema"], json.loads(row["body"])["tenths"]) for row in said] == [(2, 10), (2, 25)]


async def test_what_older_code_parked_is_read_by_newer_code_in_order(database, booking, producer):
    await toy.append(booking, producer, *adds(1, 2))
    async with at_work(
        database, toy.toy(toy.Faults({1: [RuntimeError("a bug")] * 9}, []), attempts=9), producer
    ) as old:
        await old.step()
        await old.step()
    assert await parked(booking) is not None
    await toy.append(booking, producer, Add(tally="a", tenths=25))
    async with at_work(database, newer(), producer) as consumer:
        await until(consumer, lambda: _is([10, 20, 25], amounts(booking)))
    assert await parked(booking) is None


@pytest.mark.parametrize("upcasts", [{}, {1: lambda body: body["no such field"]}], ids=["missing", "wrong"])
async def test_an_upcaster_that_fails_is_a_fault_of_that_message_alone(database, booking, producer, upcasts):
    class Wrong(Command, name="booking.add", stream="tally:{tally}", version=2):
        """Add to a tally, in tenths."""

        tally: str
        tenths: int

    Wrong.upcasts = upcasts
    [old] = await toy.append(booking, producer, *adds(1))
    [new] = await toy.append(booking, producer, Wrong(tally="b", tenths=25))
    async with at_work(database, newer(Wrong), producer) as consumer:
        await until(consumer, lambda: _is("failed", outcome(booking, old)))
    assert await outcome(booking, new) == "done"
    assert "KeyError" in await booking.fetchval("SELECT cause FROM bus.dead_letter")


async def test_what_older_code_scheduled_goes_out_in_the_present_version(database, booking, producer):
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0.05))
    async with at_work(database, toy.toy(), producer) as old:
        await old.step()
    async with at_work(database, newer(), producer) as consumer:
        await until(consumer, lambda: _is([70], amounts(booking)))
    schemas = await booking.fetchval("SELECT array_agg(schema) FROM bus.outbox WHERE name = 'booking.add'")
    assert schemas == [2]


# Newer ones


async def test_a_newer_command_waits_for_all_to_see_without_an_attempt_while_others_go_on(database, booking, producer):
    [first, new] = await toy.append(booking, producer, *adds(1), Add(tally="a", tenths=25))
    [behind, beside] = await toy.append(booking, producer, *adds(3), *adds(9, tally="b"))
    async with at_work(database, toy.toy(attempts=1), producer) as old:
        for _ in range(30):
            await old.step()
        assert old.patience_s() is not None, "it will look again by itself"
    for _ in range(3):  # nor does it trouble a process that starts
        async with at_work(database, toy.toy(attempts=1), producer) as old:
            await old.step()
    row = await parked(booking)
    assert row is not None
    assert (row["stream"], row["attempts"], row["held"]) == ("tally:a", 0, False)
    assert "UnknownMessage" in row["cause"]
    assert "booking.add has schema 2; this code knows up to 1" in row["error"]
    assert await amounts(booking) == [1]
    assert await amounts(booking, "b") == [9]
    assert await booking.fetchval("SELECT count(*) FROM bus.dead_letter") == 0
    async with at_work(database, newer(), producer) as consumer:
        await until(consumer, lambda: _is([1, 25, 30], amounts(booking)))
    assert [await outcome(booking, one) for one in (first, new, behind, beside)] == ["done"] * 4
    assert await parked(booking) is None


async def test_a_batch_with_newer_ones_everywhere_loses_nothing(database, booking, producer):
    for number in range(20):
        message = (
            Add(tally=f"t{number % 7}", tenths=number) if number % 3 else toy.Add(tally=f"t{number % 7}", amount=number)
        )
        await toy.append(booking, producer, message)
    async with at_work(database, toy.toy(attempts=1), producer, batch=6) as old:
        await until(old, lambda: _is(7, booking.fetchval("SELECT count(*) FROM bus.parked")))
    async with at_work(database, newer(), producer) as consumer:
        await until(consumer, lambda: _is(20, booking.fetchval("SELECT count(*) FROM tally")))
    for tally in range(7):
        asked = await booking.fetch(
            "SELECT id FROM bus.outbox WHERE stream = $1 AND name = 'booking.add' ORDER BY position", f"tally:t{tally}"
        )
        added = await booking.fetch("SELECT command FROM tally WHERE tally = $1 ORDER BY ctid", f"t{tally}")
        assert [row["command"] for row in added] == [row["id"] for row in asked]
    assert await booking.fetchval("SELECT count(*) FROM bus.outcome WHERE status = 'done'") == 20


async def test_what_newer_code_scheduled_stays_until_newer_code_is_back(database, booking, producer):
    def add_soon(_state: None, command: toy.AddLater, given: Given) -> Sequence[Any]:
        soon = Add(tally=command.tally, tenths=command.amount)
        return [toy.Put(tally=command.tally), Schedule("soon", given.at + timedelta(seconds=0.01), soon)]

    scheduling = replace(newer(), hears=[*newer().hears, Hears(toy.AddLater, None, add_soon)], says=[Added, toy.Put])
    await toy.append(booking, producer, toy.AddLater(tally="a", amount=7, seconds=0))
    async with at_work(database, scheduling, producer) as consumer:
        await consumer.step()
    async with at_work(database, toy.toy(), producer) as old:
        await booking.execute("SELECT pg_sleep_until(max(due_at)) FROM bus.scheduled")
        for _ in range(5):
            await old.step()
        assert old.patience_s() is None, "older code does not turn round and round over it"
    assert await booking.fetchval("SELECT schema FROM bus.scheduled") == 2
    async with at_work(database, scheduling, producer) as consumer:
        await until(consumer, lambda: _is([7], amounts(booking)))


async def test_a_field_too_many_under_the_same_version_is_a_fault_and_does_not_wait(database, booking, producer):
    """Why a version should grow with every new field where old and new code run side by side."""

    class More(Command, name="booking.add", stream="tally:{tally}"):
        """Add to a tally, saying why."""

        tally: str
        amount: int
        why: str = "because"

    [more] = await toy.append(booking, producer, More(tally="a", amount=1))
    async with at_work(database, toy.toy(attempts=2), producer) as old:
        await until(old, lambda: _is("failed", outcome(booking, more)))
    assert "ValidationError" in await booking.fetchval("SELECT cause FROM bus.dead_letter")


async def test_what_a_service_does_not_hear_does_not_hold_it_up(database, booking, producer):
    await toy.append(booking, producer, toy.Put(tally="a"), *adds(1))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    assert await amounts(booking) == [1]
    assert await parked(booking) is None


# Replayed and rebuilt


async def mixed(database, booking, producer) -> None:
    """Makes a log with events of both versions, and the table that newer code makes of them."""
    await toy.append(booking, producer, *adds(1, 2))
    async with at_work(database, toy.toy(), producer) as old:
        await old.step()
    await toy.append(booking, producer, Add(tally="a", tenths=25))
    async with at_work(database, newer(), producer) as consumer:
        await until(consumer, lambda: _is([1, 2, 25], amounts(booking)))


async def test_replay_shows_bodies_as_they_stand_whatever_their_name_and_version(database, booking, producer):
    await mixed(database, booking, producer)
    admin = await database.connect("postgres")
    await admin.execute(
        "UPDATE bus.outbox SET name = 'booking.unheard-of', schema = 7 WHERE schema = 2 AND revision > 0"
    )
    analyst = await database.connect("analyst")
    lines = [json.loads(as_json(one, 1)) async for one in replay(analyst, Selection())]
    shown = [(line["name"], line["schema"], line["body"].get("amount", line["body"].get("tenths"))) for line in lines]
    assert shown == [
        ("booking.add", 1, 1),
        ("booking.add", 1, 2),
        ("booking.added", 1, 1),
        ("booking.added", 1, 2),
        ("booking.add", 2, 25),
        ("booking.unheard-of", 7, 25),
    ]
    await analyst.close()
    await admin.close()


def silent(applied: int) -> None:
    del applied


async def test_a_rebuild_brings_older_events_up_to_date(database, booking, producer):
    await mixed(database, booking, producer)
    tallies = [table for table in await verify(database.url("postgres"), newer(), silent) if table.table == "tally"]
    assert [table.same for table in tallies] == [False], "older code wrote whole numbers"
    assert await rebuild(database.url("postgres"), newer(), silent) == 3
    assert await amounts(booking) == [10, 20, 25]
    assert all(table.same for table in await verify(database.url("postgres"), newer(), silent))


async def test_a_rebuild_by_older_code_is_refused_and_leaves_everything_as_it_was(database, booking, producer):
    await mixed(database, booking, producer)
    for work in (rebuild, verify):
        with pytest.raises(UnknownMessage, match=r"booking\.added has schema 2; this code knows up to 1"):
            await work(database.url("postgres"), toy.toy(), silent)
    assert await amounts(booking) == [1, 2, 25]
    assert await booking.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuild'") == 0
