import asyncpg
import pytest

from handlers.auth import views
from handlers.auth.service import KEPT_TABLES, service
from tests.handlers.auth.counter import Counter

OTHERS = ("booking", "armory", "payment", "stats", "gateway", "analyst", "operator")
DERIVED = {"person", "licence", "entitlement", "device", "rule_set", "known_booking"}


async def test_every_table_is_kept_or_follows_from_events(counter: Counter) -> None:
    rows = await counter.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'auth'")
    assert {row["tablename"] for row in rows} == KEPT_TABLES | DERIVED


@pytest.mark.parametrize("role", OTHERS)
async def test_nobody_else_reads_or_writes_a_table_of_auth(counter: Counter, role: str) -> None:
    connection = await counter.database.connect(role)
    for table in sorted(KEPT_TABLES | DERIVED):
        for statement in (
            f"SELECT FROM auth.{table}",
            f"DELETE FROM auth.{table}",
            f"INSERT INTO auth.{table} DEFAULT VALUES",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    await connection.close()


async def test_the_gateway_reads_who_may_do_what(counter: Counter) -> None:
    person = await counter.register()
    connection = await counter.database.connect("gateway")
    assert await views.roles(connection, person) == {"shooter"}
    assert await views.licences(connection, person) == []
    assert await views.entitlements(connection, person) == []
    assert await views.devices(connection, "lane-1") == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM auth.roles")
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM signing_key",
        "UPDATE bootstrap SET at = at",
        "DELETE FROM bootstrap",
        "UPDATE service_credential SET may_append = '{}'",
        "UPDATE bus.outbox SET actor = 'nobody'",
    ],
)
async def test_auth_itself_cannot_undo_what_is_for_ever(counter: Counter, statement: str) -> None:
    async with counter.pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


def test_auth_says_what_it_decides_and_what_its_endpoint_appends() -> None:
    own = {event for event in service().applies if event.name.startswith("auth.")}
    assert own <= set(service().says)
    assert {event.name for event in service().projects} == {
        "booking.lane-held",
        "booking.booking-rejected",
        "booking.booking-cancelled",
        "booking.no-show-released",
        "booking.session-finished",
    }
    assert all(name.startswith("auth.") for name in service().may_append)
