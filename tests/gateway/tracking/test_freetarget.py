"""Against a target on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise, product
from pathlib import Path

import pytest
import structlog

import bus.connection
from bus.connection import Connection
from bus.identity import uuid7
from bus.tasks import running
from gateway.tracking import freetarget
from gateway.tracking import leases as leases_module
from gateway.tracking.leases import Leases
from gateway.tracking.tracking import Tracking
from handlers.stats.events import ShotRecorded
from simulation.frames import Firmware
from simulation.shot_files import SAMPLES, Shot, read_shots
from simulation.target import Manners, Target
from tests.gateway.tracking.conftest import Gateway, Lane

CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
OUTSIDE_DATA = Path(__file__).parents[4] / "shared" / "data"


def shots(count: int, *, first: int = 1) -> list[Shot]:
    return [Shot(Decimal(n), Decimal(-n) / 4) for n in range(first, first + count)]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def recorded(gateway: Gateway, count: int) -> list[ShotRecorded]:
    async def there() -> bool:
        return len(await gateway.shots()) >= count

    await until(there)
    return await gateway.shots()


@asynccontextmanager
async def following(gateway: Gateway, *targets: Target) -> AsyncIterator[Tracking]:
    """Tracking of lanes with these targets."""
    gateway.lanes = [
        Lane(f"lane-{n}", "air-pistol-10m", f"freetarget://target-{n}@127.0.0.1:{target.port}")
        for n, target in enumerate(targets, 1)
    ]
    async with gateway.at_work() as tracking:
        yield tracking


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freetarget, "QUIET_S", 0.05)
    monkeypatch.setattr(freetarget, "RECONNECT_FIRST_S", 0.01)


@pytest.mark.parametrize(("firmware", "doubled"), list(product(["6.3", "4.3"], [False, True])))
async def test_what_a_target_shoots_is_in_the_log(gateway: Gateway, firmware: Firmware, *, doubled: bool) -> None:
    fired = [*shots(3), Shot(Decimal(0), Decimal(0), miss=True), Shot(Decimal("-0.01"), Decimal("12.34"), "sighter")]
    async with Target(Manners(firmware, doubled_commas=doubled)) as target, following(gateway, target):
        await target.has_client()
        frames = [target.fire(shot) for shot in fired]
        found = await recorded(gateway, 5)
    assert [(shot.number, shot.x_um, shot.y_um, shot.miss) for shot in found] == [
        (1, 1000, -250, False),
        (2, 2000, -500, False),
        (3, 3000, -750, False),
        (4, 0, 0, True),
        (5, -10, 12_340, False),
    ]
    assert found[4].kind == ("sighter" if firmware == "6.3" else "match")  # the old one does not say
    assert {(shot.device, shot.lane, shot.face) for shot in found} == {("target-1", "lane-1", "air-pistol-10m")}
    braced = [frame[frame.index(b"{") : frame.index(b"}") + 1] for frame in frames]
    assert [shot.raw_sha256 for shot in found] == [sha256(frame).hexdigest() for frame in braced]
    assert [entry.raw for entry in gateway.kept()] == braced


async def test_scanned_targets_reach_the_log_to_the_micrometre(gateway: Gateway) -> None:
    files = sorted((OUTSIDE_DATA / "targetscan").glob("*.csv"))
    if not files:
        pytest.skip(f"{OUTSIDE_DATA / 'targetscan'} is not here")
    fired = [shot for file in files for shot in read_shots(file)]
    async with Target() as target, following(gateway, target):
        await target.has_client()
        await target.play(fired, 0)
        found = await recorded(gateway, len(fired))
    assert len(fired) == 155
    assert [(Decimal(shot.x_um), Decimal(shot.y_um)) for shot in found] == [
        (s.x_mm * 1000, s.y_mm * 1000) for s in fired
    ]


async def test_shots_fired_while_nobody_listened_come_at_connection_and_none_twice(gateway: Gateway) -> None:
    async with Target() as target:
        await target.play(shots(5), 0)
        async with following(gateway, target):
            await recorded(gateway, 5)
            target.hang_up()
            await target.play(shots(5, first=6), 0)
            await recorded(gateway, 10)
            target.fire(shots(1, first=11)[0])
            found = await recorded(gateway, 11)
    assert [shot.number for shot in found] == list(range(1, 12))
    assert len({shot.epoch for shot in found}) == 1


async def test_a_restarted_gateway_knows_old_shots_from_a_new_session(gateway: Gateway) -> None:
    async with Target() as target:
        async with following(gateway, target):
            await target.play(shots(5), 0)
            await recorded(gateway, 5)
        async with following(gateway, target):
            await target.play(shots(2, first=6), 0)
            await recorded(gateway, 7)
        target.new_session()
        await target.play(shots(5), 0)  # the same places again, at another time
        async with following(gateway, target):
            found = await recorded(gateway, 12)
    assert [shot.number for shot in found] == [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5]
    assert [len({shot.epoch for shot in part}) for part in (found[:7], found[7:], found)] == [1, 1, 2]


async def test_the_same_shots_by_connection_and_by_post_count_once(gateway: Gateway) -> None:
    async with Target() as target, following(gateway, target) as tracking:
        frames = [target.fire(shot) for shot in shots(4)]
        await recorded(gateway, 4)
        for frame in frames:
            told = await tracking.push(frame, "poster", "lane-1")
            assert (told.recorded, told.repeated) == (0, 1)
        posted = target.fire(shots(1, first=5)[0])
        await tracking.push(posted, "poster", "lane-1")
        await recorded(gateway, 5)
        target.fire(shots(1, first=6)[0])
        found = await recorded(gateway, 6)
    assert [shot.number for shot in found] == [1, 2, 3, 4, 5, 6]


async def test_wrong_frames_are_counted_logged_now_and_then_and_kept(gateway: Gateway) -> None:
    wrong = b'{"shot":7, "x":far, "y":0.00}'
    async with Target() as target, following(gateway, target) as tracking:
        await target.has_client()
        with structlog.testing.capture_logs() as logs:
            for _ in range(50):
                target.say(wrong)
            target.fire(shots(1)[0])
            found = await recorded(gateway, 1)
        (status,) = tracking.status()
    assert status.counts.wrong == 50
    assert len(found) == 1
    assert len([one for one in logs if one["event"] == "frame.wrong"]) == 1
    kept = gateway.kept()
    assert [entry.raw for entry in kept if entry.verdict == "wrong: x is no number"] == [wrong] * 50


async def test_shots_are_timed_by_the_databases_clock(gateway: Gateway) -> None:
    async with Target() as target, following(gateway, target):
        await target.has_client()
        target.fire(shots(1)[0])
        await recorded(gateway, 1)
        before = await gateway.now()
        target.fire(shots(1, first=2)[0])
        _, found = await recorded(gateway, 2)
        after = await gateway.now()
    assert before <= found.received_at <= after


async def test_a_target_that_never_pauses_is_not_held_up_for_its_greeting(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freetarget, "QUIET_S", 60.0)
    monkeypatch.setattr(freetarget, "REPEATS_END_S", 60.0)
    async with Target() as target:
        await target.play(shots(5), 0.01)
        async with following(gateway, target):
            await target.has_client()
            await asyncio.sleep(0.1)
            await target.play(shots(4, first=6), 0.1)
            found = await recorded(gateway, 9)
    assert [shot.number for shot in found] == list(range(1, 10))
    apart_s = [(b.received_at - a.received_at).total_seconds() for a, b in pairwise(found)]
    assert max(apart_s[:4]) < 0.1, "what was repeated is dated by what came live"


async def test_many_targets_are_read_at_once(gateway: Gateway) -> None:
    targets = [Target() for _ in range(8)]
    for target in targets:
        await target.start()
    async with following(gateway, *targets):
        await asyncio.gather(*(target.play(shots(25), 0.001) for target in targets))
        found = await recorded(gateway, 200)
    for target in targets:
        await target.stop()
    assert sorted((shot.device, shot.number) for shot in found) == sorted(
        (f"target-{t}", n) for t in range(1, 9) for n in range(1, 26)
    )


async def test_of_two_gateways_one_connects_and_the_other_takes_over(gateway: Gateway) -> None:
    async with Target() as target, following(gateway, target) as first:
        await target.has_client()
        async with following(gateway, target) as second:
            target.fire(shots(1)[0])
            await recorded(gateway, 1)
            await asyncio.sleep(0)
            assert [one.counts.connections for one in (*first.status(), *second.status())] in ([1], [1, 0])
            assert len(target._clients) == 1
            admin = await gateway.database.connect("postgres")
            await admin.execute(
                """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name LIKE '%/leases'
                      AND (pid, backend_start) = (SELECT backend, backend_start FROM bus.lease)
                    """
            )
            await admin.close()
            target.fire(shots(1, first=2)[0])
            await recorded(gateway, 2)
    assert [shot.number for shot in await gateway.shots()] == [1, 2]


async def test_lanes_that_come_go_and_change_are_followed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.tracking.tracking.LOOK_EVERY_S", 0.02)
    async with Target() as one, Target() as other, following(gateway, one) as tracking:
        await one.has_client()
        gateway.lanes = [
            Lane("lane-1", "air-pistol-10m", f"freetarget://target-1@127.0.0.1:{other.port}"),
            Lane("lane-2", "air-pistol-10m", "http://nowhere"),
        ]
        with structlog.testing.capture_logs() as logs:
            await other.has_client()
            await asyncio.sleep(0.1)

        async def let_go() -> bool:
            return not one._clients

        await until(let_go)
        assert [(status.lane, status.device) for status in tracking.status()] == [("lane-1", "target-1")]
    assert len([entry for entry in logs if entry["event"] == "target.no-address"]) == 1


async def test_a_target_that_is_away_or_hangs_up_is_tried_again(gateway: Gateway) -> None:
    target = Target()
    await target.start()
    await target.stop()
    async with following(gateway, target):
        await asyncio.sleep(0.1)
        await target.start(port=target.port)
        target.fire(shots(1)[0])
        await recorded(gateway, 1)
    await target.stop()


async def test_a_target_whose_reading_failed_is_followed_anew(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.tracking.tracking.LOOK_EVERY_S", 0.02)
    run = freetarget.FreeTarget.run
    failed: list[bool] = []

    async def fails_once(connection: freetarget.FreeTarget) -> None:
        if not failed:
            failed.append(True)
            raise RuntimeError("a fault of ours")
        await run(connection)

    monkeypatch.setattr(freetarget.FreeTarget, "run", fails_once)
    async with Target() as target:
        with structlog.testing.capture_logs() as logs:
            async with following(gateway, target):
                target.fire(shots(1)[0])
                await recorded(gateway, 1)
    assert [one["error"] for one in logs if one["event"] == "target.failed"] == ["RuntimeError('a fault of ours')"]


async def test_a_silent_target_is_nudged_and_then_left(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freetarget, "NUDGE_AFTER_S", 0.05)
    monkeypatch.setattr(freetarget, "SILENCE_S", 0.1)
    said: list[bytes] = []
    connections = 0

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        said.append(await reader.read(10))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    target = Target()
    target.port = server.sockets[0].getsockname()[1]
    async with following(gateway, target):

        async def came_back() -> bool:
            return connections > 1

        await until(came_back)
    server.close()
    assert said[0] == b"\r\n"


async def test_a_stop_records_what_was_heard(gateway: Gateway) -> None:
    async with Target() as target:
        async with following(gateway, target) as tracking:
            target.fire(shots(1)[0])
            await recorded(gateway, 1)
            await target.play(shots(50, first=2), 0)

            async def heard() -> bool:
                return sum(status.counts.shots for status in tracking.status()) == 51

            await until(heard)
        assert len(await gateway.shots()) == 51


async def test_our_own_sample_is_played(gateway: Gateway) -> None:
    fired = read_shots(SAMPLES / "air-pistol-10m.csv")
    async with Target() as target, following(gateway, target):
        await target.play(fired, 0)
        found = await recorded(gateway, len(fired))
    assert [shot.kind for shot in found[:6]] == ["sighter"] * 5 + ["match"]
    assert sum(shot.miss for shot in found) == 1


# Leases


async def test_a_lease_is_one_gateways_at_a_time(gateway: Gateway) -> None:
    dsn = gateway.database.url("gateway")
    one, other = (Leases(dsn, name, uuid7()) for name in ("one", "other"))
    async with running(one.run(), other.run()):
        async with one.holding("target:t") as held:
            waiting = asyncio.create_task(_hold_once(other))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            assert not held.lost.is_set()
        await waiting


async def test_a_lease_goes_on_without_its_connection_and_is_taken_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "ASK_AGAIN_S", 0.01)
    leases, other = (Leases(gateway.database.url("gateway"), name, uuid7()) for name in ("one", "other"))
    admin = await gateway.database.connect("postgres")
    async with running(leases.run()), leases.holding("target:t") as held:
        await admin.execute(CUT_OFF, "one/leases")

        async def taken_again() -> bool:
            return held.fence == 2

        await until(taken_again)
        assert not held.lost.is_set()
        async with running(other.run()):
            waiting = asyncio.create_task(_hold_once(other))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            waiting.cancel()
    await admin.close()


async def test_a_lease_that_another_took_meanwhile_is_lost(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "ASK_AGAIN_S", 0.01)
    monkeypatch.setattr(leases_module, "TAKE_AGAIN_WITHIN_S", 0.1)
    leases, other = (Leases(gateway.database.url("gateway"), name, uuid7()) for name in ("one", "other"))
    may_connect = asyncio.Event()
    admin = await gateway.database.connect("postgres")
    async with running(leases.run(), other.run()), leases.holding("target:t") as held:

        async def connect_later(dsn: str, application: str) -> Connection:
            await may_connect.wait()
            return await bus.connection.connect(dsn, application)

        monkeypatch.setattr(leases_module, "connect", connect_later)
        await admin.execute(CUT_OFF, "one/leases")
        async with other.holding("target:t") as taken:
            may_connect.set()
            await held.lost.wait()
            assert not taken.lost.is_set()
    await admin.close()


async def _hold_once(leases: Leases) -> None:
    async with leases.holding("target:t"):
        pass
