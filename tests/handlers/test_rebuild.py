"""Rebuilding in place: the tables are made anew from the log, while nobody works on them."""

import asyncpg
import pytest

from bus.errors import Refusal
from handlers.rebuild import rebuild, verify
from handlers.wiring import SERVICES
from tests.database import Database
from tests.handlers.services_at_work import at_work
from tests.handlers.test_saga import open_the_range


def nobody(applied: int) -> None:
    del applied


async def test_a_service_is_rebuilt_in_place_from_its_events(database: Database):
    async with at_work(database) as services:
        await open_the_range(services)
    admin = await database.connect("postgres")
    await admin.execute("UPDATE booking.lane SET distance_m = 11")
    await admin.execute("DELETE FROM booking.known_entitlement")
    applied = await rebuild(database.url("postgres"), SERVICES["booking"](), nobody)
    assert applied > 5
    assert await admin.fetchval("SELECT distance_m FROM booking.lane") == 10
    assert all(table.same for table in await verify(database.url("postgres"), SERVICES["booking"](), nobody))
    await admin.close()
    async with at_work(database) as services:  # and it goes on from there
        await services.until("SELECT count(*) FROM booking.known_weapon_type")


async def test_personal_data_is_left_alone(database: Database):
    admin = await database.connect("postgres")
    before = await kept_rows(admin)
    await rebuild(database.url("postgres"), SERVICES["auth"](), nobody)
    assert await kept_rows(admin) == before
    await admin.close()


async def kept_rows(admin: asyncpg.Connection) -> dict[str, list[asyncpg.Record]]:
    kept = sorted(SERVICES["auth"]().kept_tables)
    assert "service_credential" in kept
    return {table: await admin.fetch(f"SELECT * FROM auth.{table}") for table in kept}


async def test_nobody_is_rebuilt_while_at_work(database: Database):
    async with at_work(database) as services:
        await services.until("SELECT count(*) = 5 FROM bus.lease WHERE name LIKE 'consumer:%'")
        with pytest.raises(Refusal, match="booking is at work"):
            await rebuild(database.url("postgres"), SERVICES["booking"](), nobody)


async def test_every_table_of_a_service_is_either_kept_or_made_from_events(database: Database):
    """A kept table that does not exist would be a promise about nothing."""
    admin = await database.connect("postgres")
    for name, make in SERVICES.items():
        rows = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", name)
        assert make().kept_tables <= {row["tablename"] for row in rows}
    await admin.close()
