"""A server or role that would break a promise is refused, with what to do."""

import pytest

from bus.errors import Refusal
from bus.self_check import refuse_what_is_unsafe
from ops.migrate import migrations
from tests.database import Database


async def refusal(database: Database, role: str = "booking", *setup: str, connections: int = 50) -> str:
    admin = await database.connect("postgres")
    for statement in setup:
        await admin.execute(statement)
    connection = await database.connect(role)
    try:
        await refuse_what_is_unsafe(connection, migrations=len(migrations()), connections=connections)
    except Refusal as refused:
        return str(refused)
    finally:
        await connection.close()
        await admin.close()
    return ""


async def test_a_sound_server_and_role_are_taken(database: Database):
    for role in ("auth", "booking", "armory", "payment", "stats", "gateway"):
        assert await refusal(database, role) == ""


async def test_a_superuser_is_refused(database: Database):
    assert "SUPERUSER" in await refusal(database, "postgres")


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ("ALTER SEQUENCE bus.outbox_position CACHE 32", "CACHE 1"),
        ("ALTER TABLE bus.progress SET UNLOGGED", "ALTER TABLE bus.progress SET LOGGED"),
        ("INSERT INTO bus.migration (number, name) VALUES (9999, 'of tomorrow')", "start the newer version"),
        ("DELETE FROM bus.migration", "run `firingline migrate`"),
        ("DROP TABLE bus.migration", "run `firingline migrate`"),
    ],
)
async def test_a_log_that_would_break_a_promise_is_refused(database: Database, setup: str, said: str):
    assert said in await refusal(database, "booking", setup)


@pytest.mark.parametrize("name", ["synchronous_commit"])
async def test_unsafe_settings_are_refused(database: Database, name: str):
    connection = await database.connect("booking")
    await connection.execute(f"SET {name} = off")
    with pytest.raises(Refusal, match=f"{name} is off"):
        await refuse_what_is_unsafe(connection, migrations=len(migrations()), connections=50)
    await connection.close()


async def test_more_connections_than_there_are_is_refused(database: Database):
    assert "raise max_connections" in await refusal(database, connections=100_000)
