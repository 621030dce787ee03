from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.bus import toy
from tests.database import Database


@pytest.fixture
async def booking(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Booking's role, with the toy's table in its schema."""
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    await admin.close()
    connection = await database.connect("booking")
    yield connection
    await connection.close()


@pytest.fixture
async def producer(booking: asyncpg.Connection) -> toy.FixedProducer:
    return await toy.register(booking, toy.NAMES)
