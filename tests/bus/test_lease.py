"""Leases: one holder at a time, by the database's clock; a fence that only grows; nobody else's."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from bus import lease as lease_module
from bus.errors import LeaseLost
from bus.identity import uuid7
from bus.lease import Lease

NAME = "consumer:booking"
WITHIN_S = 10.0


@pytest.fixture
async def other(database):
    connection = await database.connect("booking")
    yield connection
    await connection.close()


async def test_only_one_holds_it_and_the_next_has_a_larger_fence(booking, other):
    first, second = Lease(booking, NAME, uuid7()), Lease(other, NAME, uuid7())
    assert await first.take()
    assert not await second.take()
    await first.release()
    assert await second.take()
    assert (first.fence, second.fence, second.unclean) == (1, 2, False)


async def test_one_that_ran_out_is_lost_although_its_holder_lives(monkeypatch, booking, other):
    monkeypatch.setattr(lease_module, "LEASE_LASTS", timedelta(milliseconds=50))
    first, second = Lease(booking, NAME, uuid7()), Lease(other, NAME, uuid7())
    assert await first.take()
    async with asyncio.timeout(WITHIN_S):
        while not await second.take():
            await asyncio.sleep(0.01)
    assert second.unclean
    monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0)
    with pytest.raises(LeaseLost):
        await first.keep()
    with pytest.raises(asyncpg.PostgresError, match="no longer held"):
        await booking.execute("SELECT bus.check_lease($1, $2)", NAME, first.fence)


async def test_one_that_ran_out_is_not_prolonged_even_if_nobody_took_it(monkeypatch, booking):
    monkeypatch.setattr(lease_module, "LEASE_LASTS", timedelta(0))
    monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0)
    mine = Lease(booking, NAME, uuid7())
    assert await mine.take()
    with pytest.raises(asyncpg.PostgresError, match="no longer held"):
        await booking.execute("SELECT bus.check_lease($1, $2)", NAME, mine.fence)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(WITHIN_S):
            await mine.keep()


async def test_while_its_holder_renews_it_it_stays(monkeypatch, booking, other):
    monkeypatch.setattr(lease_module, "LEASE_LASTS", timedelta(seconds=1))
    monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0.05)
    first, second = Lease(booking, NAME, uuid7()), Lease(other, NAME, uuid7())
    assert await first.take()
    began = await other.fetchval("SELECT expires_at FROM bus.lease")
    keeping = asyncio.create_task(first.keep())
    async with asyncio.timeout(WITHIN_S):
        while await other.fetchval("SELECT expires_at FROM bus.lease") < began + timedelta(seconds=0.5):
            assert not await second.take()
            await asyncio.sleep(0.01)
    keeping.cancel()


async def test_nobody_takes_it_over_between_the_check_and_the_commit_that_rests_on_it(database, booking, other):
    mine, next_ = Lease(booking, NAME, uuid7()), Lease(other, NAME, uuid7())
    assert await mine.take()
    async with booking.transaction():
        await booking.execute("SELECT bus.check_lease($1, $2)", NAME, mine.fence)
        watcher = await database.connect("booking")
        await watcher.execute("SET lock_timeout = '50ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await watcher.execute("SELECT bus.release_lease($1, $2)", NAME, mine.fence)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await Lease(watcher, NAME, uuid7()).take()
        await watcher.close()
    await mine.release()
    assert await next_.take()


@pytest.mark.parametrize(
    "call",
    [
        "SELECT bus.take_lease('consumer:booking', uuidv7(), '1 hour')",
        "SELECT bus.renew_lease('consumer:booking', 1, '1 hour')",
        "SELECT bus.release_lease('consumer:booking', 1)",
    ],
)
async def test_a_consumers_lease_is_out_of_reach_of_other_services(database, booking, call):
    assert await Lease(booking, NAME, uuid7()).take()
    armory = await database.connect("armory")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="does not belong to firingline_armory"):
        await armory.execute(call)
    await armory.close()
