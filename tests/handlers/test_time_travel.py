"""A service's tables as they were: by the log alone, beside the range at work, and with nothing left behind."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner

from bus.errors import Refusal
from handlers.time_travel import Upto, past
from handlers.wiring import SERVICES
from ops.cli import main
from tests.database import Database
from tests.handlers.services_at_work import at_work
from tests.handlers.stats.making import SHOOTER, Stats, shot, started
from tests.handlers.test_saga import open_the_range


async def rows_of(dsn: str, name: str, upto: Upto) -> dict[str, list[str]]:
    async with past(dsn, SERVICES[name](), upto) as then:
        return {table: [row async for row in then.rows(table)] for table in then.tables}


async def live_rows(admin: asyncpg.Connection, name: str) -> dict[str, list[str]]:
    kept = SERVICES[name]().kept_tables
    tables = await admin.fetch("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1", name)
    return {
        row["name"]: [
            one["row"]
            for one in await admin.fetch(f'SELECT to_jsonb(t)::text AS row FROM {name}."{row["name"]}" AS t ORDER BY 1')
        ]
        for row in tables
        if row["name"] not in kept
    }


async def test_at_the_end_it_is_what_the_live_tables_are_and_at_the_beginning_nothing(database: Database):
    async with at_work(database) as services:
        await open_the_range(services)
        caught_up = "SELECT bool_and(bus.cursor_of(s) >= $2)"
        last = (await services.fetch("SELECT max(position) FROM bus.outbox"))[0][0]
        await services.until(f"{caught_up} FROM unnest($1::text[]) AS s", list(SERVICES), last)
    admin, dsn = await database.connect("postgres"), database.url("postgres")
    for name in SERVICES:
        assert await rows_of(dsn, name, Upto(position=10**9)) == await live_rows(admin, name)
        assert not any((await rows_of(dsn, name, Upto(position=0))).values())
    lanes = await admin.fetch(
        "SELECT position, at FROM bus.outbox WHERE name = 'booking.lane-opened' ORDER BY position"
    )
    for number, lane in enumerate(lanes, start=1):
        for upto in (Upto(position=lane["position"]), Upto(at=lane["at"])):
            assert len((await rows_of(dsn, "booking", upto))["lane"]) == number
        before = Upto(at=lane["at"] - timedelta(microseconds=1))
        assert len((await rows_of(dsn, "booking", before))["lane"]) == number - 1
    left = await admin.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%rebuild%' OR nspname LIKE '%state%'"
    )
    assert left == []
    await admin.close()


async def test_live_tables_cannot_be_written_from_there(database: Database):
    connection = await database.connect("stats")
    await Stats(connection).hear(started(1), shot(1))
    await connection.close()
    async with past(database.url("postgres"), SERVICES["stats"](), Upto(position=10**9)) as then:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await then.connection.execute("DELETE FROM stats.shot")
        await then.connection.execute("INSERT INTO lane (lane) VALUES ('of-the-past')")
        assert await then.count("lane") == 1
    admin = await database.connect("postgres")
    assert await admin.fetchval("SELECT count(*) FROM stats.lane WHERE lane = 'of-the-past'") == 0
    assert await admin.fetchval("SELECT person FROM stats.session WHERE session = $1", UUID(int=1)) == SHOOTER
    await admin.close()


async def test_what_was_dropped_cannot_be_told(database: Database):
    admin = await database.connect("postgres")
    await admin.execute(
        "INSERT INTO bus.dropped (topic, from_position, to_position, messages, names)"
        " VALUES ('domain', 0, 3, 1, '{\"booking.lane-opened\": 1}')"
    )
    await admin.close()
    with pytest.raises(Refusal, match="was dropped"):
        await rows_of(database.url("postgres"), "booking", Upto(position=10))


async def test_it_is_printed_as_rows_or_as_numbers(database: Database):
    async with at_work(database) as services:
        await open_the_range(services)
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}

    async def run(*arguments: str) -> str:
        outcome = await asyncio.to_thread(CliRunner().invoke, main, ["state", *arguments], env=given)
        assert outcome.exit_code == 0, outcome.output
        return outcome.stdout

    told = [json.loads(line) for line in (await run("--at", "2099-01-01", "booking", "armory")).splitlines()]
    assert {one["service"] for one in told} == {"booking", "armory"}
    assert next(one["row"] for one in told if one["table"] == "lane")["range"]
    numbers = await run("--at", "2099-01-01", "booking", "--table", "lane", "--format", "summary")
    assert numbers == f"booking.lane: {sum(one['table'] == 'lane' for one in told)} rows\n"
    assert await run("--at", "1999-01-01", "booking") == ""
    for wrong in (["booking"], ["booking", "--at", "2026-01-01", "--position", "4"], ["--at", "x", "booking"]):
        assert (await asyncio.to_thread(CliRunner().invoke, main, ["state", *wrong], env=given)).exit_code == 2
    unknown = ["booking", "--at", "2099-01-01", "--table", "shot"]
    assert (await asyncio.to_thread(CliRunner().invoke, main, ["state", *unknown], env=given)).exit_code == 1
