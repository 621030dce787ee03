import asyncio

from bus.tasks import running
from gateway.tracking.clock import DatabaseClock
from tests.gateway.tracking.conftest import Gateway


async def test_the_clock_goes_like_the_databases(gateway: Gateway) -> None:
    clock = DatabaseClock()
    assert clock.now() is None
    async with gateway.pool.acquire() as connection:
        await clock.read(connection)
        for _ in range(3):
            before = await connection.fetchval("SELECT clock_timestamp()")
            ours = clock.now()
            after = await connection.fetchval("SELECT clock_timestamp()")
            assert ours is not None
            assert (ours - before).total_seconds() > -0.05
            assert (after - ours).total_seconds() > -0.05


async def test_the_clock_is_read_by_itself(gateway: Gateway) -> None:
    clock = DatabaseClock()
    async with running(clock.keep(gateway.pool)), asyncio.timeout(5):
        while clock.now() is None:
            await asyncio.sleep(0.001)
