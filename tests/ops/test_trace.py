"""A story from the log: in the order of cause and effect, whatever the order of the rows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from bus.identity import uuid7
from bus.outbox import Outbox, Said
from ops.cli import main
from ops.trace import Message, steps
from tests.bus import toy
from tests.bus.test_consumer import at_work
from tests.database import Database

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def message(position: int, id_: int, cause: int | None) -> Message:
    return Message(
        position=position,
        id=UUID(int=id_),
        cause=None if cause is None else UUID(int=cause),
        correlation=UUID(int=1),
        concludes=None,
        revision=1,
        at=START + timedelta(milliseconds=position),
        name=f"m{id_}",
        stream="s",
        actor="service:x",
        writer="booking",
        status=None,
        ended_at=None,
    )


def test_effects_follow_their_cause_and_siblings_the_order_of_the_log() -> None:
    story = [message(1, 1, None), message(2, 2, 1), message(3, 3, 1), message(4, 4, 2), message(5, 5, 3)]
    walked = [(step.message.name, step.depth, step.last[-1]) for step in steps(story[::-1])]
    assert walked == [("m1", 0, True), ("m2", 1, False), ("m4", 2, True), ("m3", 1, True), ("m5", 2, True)]
    assert [step.since_cause for step in steps(story)][1:] == [timedelta(milliseconds=n) for n in (1, 2, 2, 2)]


def test_a_cause_outside_the_story_is_a_beginning_of_it() -> None:
    assert [step.depth for step in steps([message(1, 1, 99), message(2, 2, 1)])] == [0, 1]


def test_a_long_chain_is_no_deep_recursion() -> None:
    story = [message(n, n, n - 1 or None) for n in range(1, 3000)]
    assert [step.message.position for step in steps(story)] == list(range(1, 3000))


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, ["trace", *arguments], env=given)


@pytest.fixture
async def command(database: Database) -> UUID:
    """A command that was done, and one that nobody has looked at yet, in one story."""
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    await admin.close()
    booking = await database.connect("booking")
    producer = await toy.register(booking, toy.NAMES)
    [first] = await toy.append(booking, producer, toy.Add(tally="a", amount=1))
    async with at_work(database, toy.toy(), producer) as consumer:
        await consumer.step()
    story = await booking.fetchval("SELECT correlation FROM bus.outbox WHERE id = $1", first)
    later = Said(toy.Add(tally="b", amount=2), "service:booking", story, uuid7())
    await Outbox(toy.toy(), producer).append(booking, [later])
    await booking.close()
    return first


async def test_a_story_is_printed_as_a_tree_without_colours_where_nobody_sees_them(
    database: Database, command: UUID
) -> None:
    outcome = await run(database, str(command))
    lines = outcome.output.splitlines()
    assert outcome.exit_code == 0
    assert "booking.add  tally:a  booking at 2  done after" in lines[0]
    assert "└─ booking.added  tally:a  +" in lines[1]
    assert lines[2].endswith("no outcome yet")
    assert "\x1b" not in outcome.output


async def test_json_tells_the_same(database: Database, command: UUID) -> None:
    told = json.loads((await run(database, str(command), "--json")).output)
    assert [step["name"] for step in told["steps"]] == ["booking.add", "booking.added", "booking.add"]
    assert [step["outcome"] for step in told["steps"]] == ["done", None, None]
    assert told["steps"][1]["since_cause_ms"] > 0
    assert told == json.loads((await run(database, told["correlation"], "--json")).output)


async def test_an_unknown_id_is_one_sentence(database: Database) -> None:
    outcome = await run(database, str(uuid7()))
    assert (outcome.exit_code, outcome.stderr.startswith("firingline: No message in the log has the id")) == (1, True)
