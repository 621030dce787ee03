from collections.abc import AsyncIterator

import asyncpg
import pytest
import structlog

from bus.connection import Pool, close_pool, connect_pool
from tests.bus import toy
from tests.database import Database


@pytest.fixture(scope="session", autouse=True)
def plain_log() -> None:
    """Failures are what these tests make: their log lines need no coloured tracebacks."""
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])


@pytest.fixture(autouse=True)
def impatient_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a lease looks often, so that a test need not wait."""
    monkeypatch.setattr("bus.lease.RETRY_EVERY_S", 0.02)
    monkeypatch.setattr("bus.membership.LOOK_EVERY_S", 0.02)


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


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """The gateway's role."""
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


@pytest.fixture
async def gate(gateway: asyncpg.Connection) -> toy.FixedProducer:
    """The gateway's producer, for commands and shots."""
    return await toy.register(gateway, [*toy.NAMES, *toy.SHOTS])


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """The gateway's pool."""
    pool = await connect_pool(database.url("gateway"), "test", most=5)
    yield pool
    await close_pool(pool)
