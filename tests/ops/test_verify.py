"""The auditor over a real log: nothing is wrong with what the bus wrote, and everything planted is found."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from click.testing import CliRunner, Result

from bus.group_commit import accept_all
from bus.identity import uuid7
from ops import verify
from ops.cli import main
from tests.bus import toy
from tests.bus.test_consumer import at_work
from tests.database import Database
from tests.handlers.services_at_work import at_work as services_at_work
from tests.handlers.test_saga import SHOOTER, open_the_range, person, wish


@pytest.fixture
async def admin(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """A superuser, on a log in which the toy has worked."""
    monkeypatch.setattr(verify, "SERVICES", {"booking": toy.toy})
    monkeypatch.setattr(verify, "SPAN", 7)
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    booking, gateway = await database.connect("booking"), await database.connect("gateway")
    producer, gate = await toy.register(booking, toy.NAMES), await toy.register(gateway, toy.NAMES)
    await accept_all(gateway, gate.id, [toy.asked("a", n) for n in range(20)])
    async with at_work(database, toy.toy(), producer, batch=3) as consumer:
        while await consumer.step():
            pass
        await consumer.write_progress()
    for connection in (booking, gateway):
        await connection.close()
    yield admin
    await admin.close()


async def run(database: Database) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, ["verify"], env=given)


@pytest.mark.usefixtures("admin")
async def test_what_the_bus_wrote_is_as_promised(database: Database) -> None:
    outcome = await run(database)
    assert outcome.exit_code == 0, outcome.output
    assert "booking: 20 messages in" in outcome.output
    assert outcome.output.count(": yes") == len(verify.CHECKS) + 1  # and the custody book


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("DELETE FROM bus.progress WHERE from_position = (SELECT min(to_position) FROM bus.progress)", "were skipped"),
        (
            """
            INSERT INTO bus.progress SELECT consumer, partitions, from_position + 1, to_position, 0, 0, fence, at
            FROM bus.progress WHERE from_position = 0
            """,
            "were seen twice",
        ),
        ("UPDATE bus.progress SET digest = digest + 1 WHERE from_position = 0", "tells of other messages"),
        ("UPDATE bus.progress SET count = count + 1 WHERE from_position = 0", "the log has"),
        ("UPDATE bus.progress SET fence = 9 WHERE from_position = 0", "after fence 9"),
        ("UPDATE bus.outbox SET revision = 99 WHERE revision = 3", "tally:a at"),
        ("DELETE FROM bus.outbox WHERE revision = 20", "tally:a has 19 events, and its head says 20"),
        ("UPDATE bus.outbox SET concludes = NULL WHERE revision = 3", "where no event concludes it"),
        ("DELETE FROM bus.outcome WHERE position = (SELECT min(position) FROM bus.outcome)", "is at no position"),
        ("DELETE FROM bus.outbox WHERE position = 5", "was accepted and is not in the log"),
        ("DELETE FROM bus.outbox WHERE position = 5", "which nobody asked before"),
        (
            "UPDATE bus.outbox SET cause = (SELECT id FROM bus.outbox WHERE revision = 4) WHERE revision = 3",
            "which is later",
        ),
        ("UPDATE bus.outbox SET id = (SELECT id FROM bus.outbox WHERE revision = 4) WHERE revision = 3", "stands at"),
    ],
)
async def test_what_is_planted_is_found(
    database: Database, admin: asyncpg.Connection, planted: str, found: str
) -> None:
    assert (await admin.execute(planted)).endswith("1")
    outcome = await run(database)
    assert outcome.exit_code == 1
    assert any(line.startswith("WRONG: ") and found in line for line in outcome.output.splitlines()), outcome.output


async def test_a_second_outcome_is_found(database: Database, admin: asyncpg.Connection) -> None:
    await admin.execute(
        """
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, concludes, at, name, stream, actor,
                                body)
        SELECT topic, partition, schema, producer, $1, correlation, concludes, at, name, stream, actor, body
        FROM bus.outbox WHERE revision = 3
        """,
        uuid7(),
    )
    assert "no command has a second outcome: NO" in (await run(database)).output


async def test_an_empty_log_is_in_order(database: Database) -> None:
    assert (await run(database)).exit_code == 0


async def test_the_work_of_all_services_is_as_promised(database: Database) -> None:
    async with services_at_work(database) as services:
        await open_the_range(services)
        booking = uuid7()
        assert (await services.ask(wish(booking), person(SHOOTER), number=booking)).status == "done"
    outcome = await run(database)
    assert outcome.exit_code == 0, outcome.output
