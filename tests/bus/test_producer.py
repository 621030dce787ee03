"""Registration: a process is known to the log before its token runs out, whatever auth, database and clocks do."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from bus import producer as producer_module
from bus.connection import Pool, close_pool, connect_pool, is_producer_expired
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.producer import AuthAway, Registration, ServiceToken
from bus.tasks import running
from tests.bus import toy
from tests.bus.test_consumer import adds

WITHIN_S = 10.0


@pytest.fixture
async def booking_pool(database):
    pool = await connect_pool(database.url("booking"), "test", most=2)
    yield pool
    await close_pool(pool)


class Auth:
    """Gives tokens of some life, after some failures; its clock may be wrong."""

    def __init__(self, *, lasts_s: float = 3600.0, ahead_s: float = 0.0, failures: int = 0) -> None:
        self.lasts = timedelta(seconds=lasts_s)
        self.ahead = timedelta(seconds=ahead_s)
        self.failures = failures
        self.given = 0

    async def obtain(self, _boot, _names) -> ServiceToken:
        if self.failures:
            self.failures -= 1
            raise AuthAway
        self.given += 1
        at = datetime.now(UTC) + self.ahead
        return ServiceToken("untested", uuid7(), at, at + self.lasts)


def registration(pool: Pool, auth: Auth) -> Registration:
    return Registration(pool, uuid7(), toy.NAMES, auth.obtain)


async def test_it_waits_for_auth_and_is_then_known(monkeypatch, booking, booking_pool):
    monkeypatch.setattr(producer_module, "full_jitter", lambda *_args, **_kwargs: 0.001)
    auth = Auth(failures=3)
    mine = registration(booking_pool, auth)
    await mine.register()
    await toy.append(booking, toy.FixedProducer(mine.id), *adds(1))
    row = await booking.fetchrow("SELECT role, names FROM bus.producer WHERE id = $1", mine.id)
    assert (row["role"], row["names"]) == ("firingline_booking", toy.NAMES)


async def test_it_is_renewed_at_half_of_its_tokens_life(booking, booking_pool):
    auth = Auth(lasts_s=0.6)
    mine = registration(booking_pool, auth)
    await mine.register()
    first = mine.id
    async with running(mine.keep()), asyncio.timeout(WITHIN_S):
        while auth.given < 4:
            await asyncio.sleep(0.01)
            await toy.append(booking, mine, *adds(1))
    assert mine.id > first


@pytest.mark.parametrize("ahead_s", [-7200.0, 50.0], ids=["two hours behind", "fifty seconds ahead"])
async def test_a_clock_that_differs_from_auths_does_not_make_it_renew_without_pause(booking_pool, ahead_s):
    auth = Auth(ahead_s=ahead_s)
    mine = registration(booking_pool, auth)
    await mine.register()
    async with running(mine.keep()):
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    assert auth.given == 1


async def test_a_clock_that_jumps_ahead_makes_it_renew(monkeypatch, booking_pool):
    """As after a machine slept: its monotonic clock stood still, and the database's went on."""
    monkeypatch.setattr(producer_module, "LOOK_EVERY_S", 0.01)
    auth = Auth()
    mine = registration(booking_pool, auth)
    await mine.register()
    async with running(mine.keep()), asyncio.timeout(WITHIN_S):
        with monkeypatch.context() as slept:
            slept.setattr(producer_module, "now", lambda: datetime.now(UTC) + timedelta(hours=2))
            while auth.given < 2:
                await asyncio.sleep(0.01)


async def test_an_expired_producer_is_told_apart_from_a_refused_login(database, booking):
    expired = await toy.register(booking, toy.NAMES, for_s=-1)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await Outbox(toy.toy(), expired).say(
            booking, [toy.Put(tally="a")], actor="service:booking", correlation=uuid7()
        )
    assert is_producer_expired(refused.value)
    wrong = database.url("booking").replace("firingline_booking:", "firingline_nobody:")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError) as unknown:
        await asyncpg.connect(wrong)
    assert not is_producer_expired(unknown.value)
