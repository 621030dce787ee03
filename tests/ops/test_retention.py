"""`firingline retention` over a real log: what it foretells is what is lost, and the auditor knows of it."""

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from ops import verify
from ops.cli import main
from tests.bus import toy
from tests.bus.test_retention import SPAN, admin
from tests.database import Database

__all__ = ["admin"]


@pytest.fixture
async def booking(database: Database):
    superuser = await database.connect("postgres")
    await toy.make_table(superuser)
    await superuser.close()
    connection = await database.connect("booking")
    yield connection
    await connection.close()


@pytest.fixture
async def producer(booking: asyncpg.Connection) -> toy.FixedProducer:
    return await toy.register(booking, toy.NAMES)


@pytest.fixture
async def gateway(database: Database):
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


@pytest.fixture
async def gate(gateway: asyncpg.Connection) -> toy.FixedProducer:
    return await toy.register(gateway, toy.NAMES)


@pytest.fixture(autouse=True)
def toys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.lease.RETRY_EVERY_S", 0.02)
    for module in ("ops.retention", "ops.verify"):
        monkeypatch.setattr(f"{module}.SERVICES", {"booking": toy.toy})
    monkeypatch.setattr(verify, "SPAN", SPAN // 2)


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=given)


async def said(database: Database, *arguments: str) -> str:
    outcome = await run(database, "retention", *arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@pytest.mark.usefixtures("admin")
async def test_what_is_foretold_is_what_is_dropped_and_the_log_is_still_as_promised(
    database: Database, booking: asyncpg.Connection
) -> None:
    assert "domain: kept for ever" in await said(database, "show")
    assert "domain: kept for ever" in await said(database, "preview")
    foretold = await said(database, "preview", "--domain", "100")
    assert f"domain 0 to {SPAN - 1}: 4 messages" in foretold
    assert "2 booking.added" in foretold
    assert "no rebuild any more of booking" in foretold
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox") == 8

    assert "domain: kept for 100 days" in await said(database, "set", "domain", "100")
    assert "domain: 1 spans dropped" in await said(database, "apply")
    assert f"domain 0 to {SPAN - 1}, 4 messages" in await said(database, "show")
    assert await booking.fetchval("SELECT count(*) FROM bus.outbox") == 4

    proof = await run(database, "verify")
    assert proof.exit_code == 0, proof.output
    assert "booking: 1 messages in" in proof.output
    assert "domain: kept for ever" in await said(database, "set", "domain", "forever")


async def test_the_auditor_still_finds_what_is_wrong_above_what_was_dropped(
    database: Database, admin: asyncpg.Connection
) -> None:
    await said(database, "set", "domain", "100")
    await said(database, "apply")
    await admin.execute("UPDATE bus.stream_head SET revision = revision + 1")
    await admin.execute("UPDATE bus.outbox SET cause = uuidv7() WHERE cause IS NOT NULL")
    await admin.execute("UPDATE bus.progress SET count = count + 1 WHERE from_position >= $1", SPAN)
    proof = await run(database, "verify")
    assert proof.exit_code == 1
    assert "is not in the log" in proof.output
    assert "its head says 5" in proof.output
    assert "the log has" in proof.output


async def test_a_rebuild_that_would_come_out_short_is_refused(database: Database, admin: asyncpg.Connection) -> None:
    await admin.execute(
        """
        INSERT INTO bus.dropped (topic, from_position, to_position, messages, names)
        VALUES ('domain', 0, 99, 1, '{"booking.lane-opened": 1}')
        """
    )
    outcome = await run(database, "rebuild", "booking", "--verify")
    assert outcome.exit_code == 1
    assert "booking.lane-opened" in outcome.output
    assert (await run(database, "rebuild", "payment", "--verify")).exit_code == 0
