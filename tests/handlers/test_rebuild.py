"""Rebuilding in place: the tables are made anew from the log, at work or not."""

import asyncio
import random
from dataclasses import replace

import asyncpg
import pytest

from bus.errors import Refusal
from bus.identity import uuid7
from handlers import rebuild as rebuilding
from handlers.auth.events import PersonRegistered
from handlers.booking.commands import OpenLane
from handlers.rebuild import rebuild, verify
from handlers.wiring import SERVICES
from tests.bus import toy
from tests.database import Database
from tests.handlers.services_at_work import at_work
from tests.handlers.test_saga import ADMIN, open_the_range, person


def lane(name: str) -> OpenLane:
    return OpenLane(range="club", lane=name, distance_m=10, discipline="air-pistol-10m", weapon_classes=("air",))


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


async def test_services_are_rebuilt_while_they_work_and_nothing_is_lost_or_done_twice(database, monkeypatch):
    """The last pass is cut short, so that what comes meanwhile is done in it and in the swap."""
    monkeypatch.setattr(rebuilding, "CATCH_UP", 0)
    monkeypatch.setattr(rebuilding, "PASSES", 3)
    admin = await database.connect("postgres")
    async with at_work(database) as services:
        await open_the_range(services)
        told, stopping = 0, asyncio.Event()

        async def traffic() -> None:
            nonlocal told
            while not stopping.is_set():
                await services.say("auth", PersonRegistered(person=uuid7(), roles=("shooter", "instructor")))
                await services.ask(lane(f"lane-{told + 100}"), person(ADMIN))
                told += 1

        busy = asyncio.create_task(traffic())
        await admin.execute("UPDATE booking.lane SET distance_m = 11 WHERE lane = 'lane-1'")
        for name in ("booking", "auth", "booking", "stats"):
            before = told
            await rebuild(database.url("postgres"), SERVICES[name](), nobody)
            while told < before + 3:
                await asyncio.sleep(0.01)
        stopping.set()
        await busy
        assert await admin.fetchval("SELECT distance_m FROM booking.lane WHERE lane = 'lane-1'") == 10
        assert await admin.fetchval("SELECT count(*) FROM booking.lane WHERE lane LIKE 'lane-1__%'") == told
        await services.until(f"SELECT count(*) >= {told} FROM booking.known_staff")
        assert await admin.fetchval("SELECT count(*) FROM bus.dead_letter") == 0
        for name, make in SERVICES.items():
            assert all(table.same for table in await verify(database.url("postgres"), make(), nobody)), name
    await admin.close()


async def test_a_swap_that_takes_long_is_no_message_s_fault(database):
    admin = await database.connect("postgres")
    await admin.execute(f"ALTER ROLE firingline_booking IN DATABASE {database.name} SET lock_timeout = '100ms'")
    async with at_work(database) as services:
        await open_the_range(services)
        async with admin.transaction():
            await admin.execute("LOCK TABLE booking.lane IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(services.ask(lane("lane-2"), person(ADMIN)))
            await asyncio.sleep(1.5)  # longer than booking waits for a lock, several times
            assert not asked.done()
            assert await admin.fetchval("SELECT count(*) FROM bus.parked") == 0
        assert (await asked).status == "done"
    await admin.close()


async def test_one_rebuild_of_a_service_at_a_time(database):
    admin = await database.connect("postgres")
    await admin.execute("SELECT bus.take_lease('rebuild:booking', $1, interval '1 hour')", uuid7())
    for work in (rebuild, verify):
        with pytest.raises(Refusal, match="by somebody else"):
            await work(database.url("postgres"), SERVICES["booking"](), nobody)
    await admin.close()


def is_done(done: rebuilding.Done, row: asyncpg.Record, own: str) -> bool:
    if row["name"] == own:
        return bool(row["position"] <= done.own)
    return (
        row["position"] <= done.cursors[row["partition"]]
        and row["position"] not in done.dead
        and not any(row["stream"] == stream and row["position"] >= head for stream, head in done.parked)
    )


async def test_what_was_done_between_two_moments_is_all_that_was_and_no_more(database):
    """Against the definition, for any two moments of which the second is later."""
    admin, booking = await database.connect("postgres"), await database.connect("booking")
    producer = await toy.register(booking, toy.NAMES)
    for n in range(60):
        said = toy.Added(tally=f"{n % 7}", amount=n, command=uuid7()) if n % 3 else toy.Put(tally=f"{n % 7}")
        await toy.append(booking, producer, said)
    rows = await admin.fetch("SELECT position, partition, name, stream FROM bus.outbox ORDER BY position")
    positions, streams = [row["position"] for row in rows], sorted({row["stream"] for row in rows})
    service = replace(toy.toy(), says=[toy.Put], applies={toy.Put: toy._added, toy.Added: toy._added})
    chosen = random.Random(1)

    def moment(least: rebuilding.Done, *, level: bool) -> rebuilding.Done:
        return rebuilding.Done(
            own=max(least.own, positions[-1] if level else chosen.choice(positions)),
            cursors=tuple(
                max(cursor, positions[-5] if level else chosen.choice(positions)) for cursor in least.cursors
            ),
            dead=frozenset(chosen.sample(positions, 5)),
            parked=frozenset((stream, chosen.choice(positions)) for stream in chosen.sample(streams, 3)),
        )

    for turn in range(40):
        before = moment(rebuilding.NOTHING, level=turn % 2 == 0)  # level: only what was set aside is left behind
        now = moment(before, level=turn % 2 == 0)
        async with admin.transaction():
            found = [one.position async for one in rebuilding._between(admin, service, before, now)]
        own = toy.Put.name
        wanted = [row["position"] for row in rows if is_done(now, row, own) and not is_done(before, row, own)]
        assert found == wanted
    for connection in (admin, booking):
        await connection.close()


async def test_every_table_of_a_service_is_either_kept_or_made_from_events(database: Database):
    """A kept table that does not exist would be a promise about nothing."""
    admin = await database.connect("postgres")
    for name, make in SERVICES.items():
        rows = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", name)
        assert make().kept_tables <= {row["tablename"] for row in rows}
    await admin.close()
