"""The bell: who is rung is woken, whatever becomes of the connections; who is not rung is served all the same."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from bus import bell as bell_module
from bus.bell import Bell, Ringer
from bus.tasks import running
from tests.bus.proxy import Proxy, proxy_before

WITHIN_S = 10.0


@pytest.fixture
async def proxy(database) -> AsyncIterator[Proxy]:
    async with proxy_before(database.url("booking")) as proxy:
        yield proxy


@pytest.fixture
def impatient(monkeypatch):
    """Pings and gives up so often that a test need not wait."""
    monkeypatch.setattr(bell_module, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(bell_module, "PING_TIMEOUT_S", 0.2)
    monkeypatch.setattr(bell_module, "RING_TIMEOUT_S", 0.2)
    monkeypatch.setattr(bell_module, "RECONNECT_LONGEST_S", 0.05)


async def woken(waiter: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN_S):
        await waiter.wait()
    waiter.clear()


async def until(condition) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.005)


async def rings(connection: asyncpg.Connection) -> None:
    await connection.execute("NOTIFY firingline")


async def listening(bell: Bell) -> asyncio.Event:
    """A waiter of a bell that listens, and that has nothing to read."""
    waiter = bell.waiter()
    await until(lambda: bell.listening)
    waiter.clear()
    return waiter


async def test_a_ring_wakes_every_waiter_and_not_who_left(database):
    bell, ringer = Bell(database.url("booking"), "test"), Ringer(database.url("gateway"), "test")
    first, second, gone = bell.waiter(), bell.waiter(), bell.waiter()
    async with running(bell.run(), ringer.run()):
        await until(lambda: bell.listening)
        for waiter in (first, second, gone):
            waiter.clear()
        bell.forget(gone)
        ringer.ring()
        await woken(first)
        await woken(second)
        assert not gone.is_set()


async def test_many_commits_make_few_rings_and_the_last_is_heard(monkeypatch, database, booking):
    monkeypatch.setattr(bell_module, "RING_AT_MOST_EVERY_S", 0.05)
    heard = 0

    def count(*_args) -> None:
        nonlocal heard
        heard += 1

    await booking.add_listener(bell_module.CHANNEL, count)
    ringer = Ringer(database.url("gateway"), "test")
    async with running(ringer.run()):
        ringer.ring()
        await until(lambda: heard == 1)
        began = time.monotonic()
        while heard < 5:
            ringer.ring()
            await asyncio.sleep(0)
        assert time.monotonic() - began > 3 * 0.05
        before = heard
        ringer.ring()
        await until(lambda: heard > before)
    await booking.remove_listener(bell_module.CHANNEL, count)


@pytest.mark.usefixtures("impatient")
async def test_when_its_connection_is_ended_it_listens_again_and_wakes_all_to_read_the_gap(monkeypatch, database):
    monkeypatch.setattr(bell_module, "PING_EVERY_S", 3600.0)  # it is told, and need not ask
    bell = Bell(database.url("booking"), "test")
    async with running(bell.run()):
        waiter = await listening(bell)
        admin = await database.connect("postgres")
        ended = await admin.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'test/bell'"
        )
        assert ended == 1
        await woken(waiter)  # nobody rang
        await until(lambda: bell.listening)
        waiter.clear()
        await rings(admin)
        await woken(waiter)
        await admin.close()


@pytest.mark.usefixtures("impatient")
async def test_a_way_that_fell_silent_is_noticed_and_left(database, booking, proxy):
    """A cut cable says nothing: no FIN, no RST, and the driver would wait for ever."""
    bell = Bell(proxy.through(database.url("booking")), "test")
    async with running(bell.run()):
        waiter = await listening(bell)
        proxy.silence()
        await until(lambda: not bell.listening)
        assert not waiter.is_set()
        proxy.speak()
        await woken(waiter)
        await until(lambda: bell.listening)
        waiter.clear()
        await rings(booking)
        await woken(waiter)


@pytest.mark.usefixtures("impatient")
async def test_a_listener_that_is_no_longer_registered_notices_it(monkeypatch, database, booking):
    """The socket lives and the session listens to nothing: as after a pooler, or a DISCARD ALL."""
    bell = Bell(database.url("booking"), "test")
    unregistered = asyncio.Event()
    honest = bell._listen

    async def listen(connection):
        if not unregistered.is_set():
            asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(forgets(connection)))
        await honest(connection)

    async def forgets(connection):
        while not unregistered.is_set():
            try:
                await connection.execute("UNLISTEN *")
            except asyncpg.InterfaceError:  # a ping is under way
                await asyncio.sleep(0.001)
            else:
                unregistered.set()

    monkeypatch.setattr(bell, "_listen", listen)
    async with running(bell.run()):
        waiter = await listening(bell)
        await unregistered.wait()
        await woken(waiter)
        await until(lambda: bell.listening)
        waiter.clear()
        await rings(booking)
        await woken(waiter)


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_breaks_every_connection_is_not_hammered(monkeypatch, database, proxy):
    monkeypatch.setattr(bell_module, "RECONNECT_LONGEST_S", 30.0)
    bell = Bell(proxy.through(database.url("booking")), "test")
    waiter = bell.waiter()
    async with running(bell.run()):
        for _ in range(3):
            await woken(waiter)
            proxy.reset()
        assert bell._failures >= 2, "each loss makes the next wait longer, until a ping came back"
        await until(lambda: bell._failures == 0)


@pytest.mark.usefixtures("impatient")
async def test_a_ring_that_was_lost_with_its_connection_is_rung_again(database, proxy):
    bell = Bell(database.url("booking"), "test")
    ringer = Ringer(proxy.through(database.url("booking")), "test")
    async with running(bell.run(), ringer.run()):
        waiter = await listening(bell)
        ringer.ring()
        await woken(waiter)
        for breaks in (proxy.reset, proxy.silence):
            breaks()
            ringer.ring()
            await until(lambda: ringer._failures)
            proxy.speak()
            await woken(waiter)


@pytest.mark.usefixtures("impatient")
async def test_a_full_notification_queue_ends_nobody(monkeypatch, database):
    """A frozen listener anywhere fills the queue; NOTIFY then fails, and nothing else may."""
    full_for = 2
    execute = asyncpg.Connection.execute

    async def executing(connection, statement, *args, **kwargs):
        nonlocal full_for
        if full_for and statement.startswith("NOTIFY"):
            full_for -= 1
            raise asyncpg.ProgramLimitExceededError("too many notifications in the NOTIFY queue")
        return await execute(connection, statement, *args, **kwargs)

    monkeypatch.setattr(asyncpg.Connection, "execute", executing)
    bell, ringer = Bell(database.url("booking"), "test"), Ringer(database.url("booking"), "test")
    async with running(bell.run(), ringer.run()):
        waiter = await listening(bell)
        ringer.ring()
        await woken(waiter)
    assert full_for == 0


async def test_nothing_is_left_open(database):
    bell, ringer = Bell(database.url("booking"), "test"), Ringer(database.url("booking"), "test")
    async with running(bell.run(), ringer.run()):
        waiter = await listening(bell)
        ringer.ring()
        await woken(waiter)
    admin = await database.connect("postgres")
    async with asyncio.timeout(WITHIN_S):
        while await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'test/%'"):
            await asyncio.sleep(0.01)
    await admin.close()
