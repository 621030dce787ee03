from datetime import timedelta
from pathlib import Path

from bus.connection import close_pool, connect_pool
from bus.identity import uuid7
from handlers.auth.issuing import issue_service_token
from handlers.auth.signing import change_key, open_signer
from ops.service_tokens import Statements
from tests.database import Database


async def test_a_key_that_is_new_is_looked_up_however_soon_it_is_met(database: Database, tmp_path: Path):
    """A producer that is not believed once is never believed again, so a new key must not be missed."""
    auth = await connect_pool(database.url("auth"), "test-auth", most=2)
    booking = await connect_pool(database.url("booking"), "test-booking", most=2)
    signer = await open_signer(auth, tmp_path / "master.key")
    statements = Statements(booking)
    first = await issue_service_token(auth, signer, "booking", uuid7(), ["booking.lane-held"])
    assert await statements.verify(first.token) is not None
    async with auth.acquire() as connection:
        await change_key(connection, signer.vault, timedelta(0))
    second = await issue_service_token(auth, signer, "booking", uuid7(), ["booking.lane-held"])
    statement = await statements.verify(second.token)
    assert statement is not None
    assert list(statement.names) == ["booking.lane-held"]
    assert await statements.verify(second.token[:-4] + "AAAA") is None
    await close_pool(auth)
    await close_pool(booking)
