import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import asyncpg
import pytest
import structlog

from bus.tasks import running
from gateway.tracking import epoch_store, epochs
from gateway.tracking.recorder import Heard, Recorded, Recorder
from ops.postgres import Cluster
from tests.gateway.tracking.conftest import Gateway
from tests.gateway.tracking.test_epochs import sighted

ACTOR = "device:target-1"


def heard(number: int, *, at: datetime | None = None, live: bool = True, lane: str = "lane-1", **facts: int) -> Heard:
    shot = sighted(number, x_um=facts.get("x_um", number), elapsed_ms=facts.get("elapsed_ms", number * 1000))
    return Heard("target-1", lane, shot, at, live)


async def test_a_shot_is_in_the_log_once_however_often_it_comes(gateway: Gateway) -> None:
    recorder = gateway.recorder()
    first = await recorder.record([heard(1), heard(2), heard(1)], ACTOR)
    again = await recorder.record([heard(1), heard(2), heard(3)], ACTOR)
    assert (first, again) == (Recorded(2, 1), Recorded(1, 2))
    assert [shot.number for shot in await gateway.shots()] == [1, 2, 3]
    assert len(gateway.rings) == 2


async def test_what_is_remembered_outlives_the_process(gateway: Gateway) -> None:
    await gateway.recorder().record([heard(1), heard(2)], ACTOR)
    await gateway.recorder().record([heard(1), heard(2), heard(1, x_um=99, elapsed_ms=500), heard(2, x_um=98)], ACTOR)
    shots = await gateway.shots()
    assert [(shot.number, shot.x_um) for shot in shots] == [(1, 1), (2, 2), (1, 99), (2, 98)]
    assert len({(shot.epoch, shot.number) for shot in shots}) == 4


async def test_two_gateways_that_hear_the_same_record_it_once(gateway: Gateway) -> None:
    dice = Random(1)
    shots = [heard(n % 10 + 1, x_um=n, elapsed_ms=n * 1000) for n in range(60)]  # six sessions of ten shots

    async def one_way(recorder: Recorder) -> None:
        for first in range(0, 60, 10):
            session = shots[first : first + 10]
            for cut in sorted(dice.sample(range(1, 10), 3)):
                await recorder.record(session[:cut], ACTOR)
            await recorder.record(session, ACTOR)
            await both.wait()

    both = asyncio.Barrier(2)
    await asyncio.gather(one_way(gateway.recorder()), one_way(gateway.recorder()))
    assert [shot.x_um for shot in await gateway.shots()] == list(range(60))


async def test_shots_missed_in_an_outage_are_dated_back(gateway: Gateway) -> None:
    now = await gateway.now()
    recorder = gateway.recorder()
    await recorder.record([heard(1, at=now - timedelta(minutes=10))], ACTOR)
    await recorder.record([heard(n, at=now, live=False) for n in (1, 2, 31)], ACTOR)
    _, second, last = await gateway.shots()
    assert second.received_at == now - timedelta(minutes=10) + timedelta(seconds=1)
    assert last.received_at == now - timedelta(minutes=10) + timedelta(seconds=30)


async def test_a_shot_without_a_time_gets_the_databases(gateway: Gateway) -> None:
    before = await gateway.now()
    await gateway.recorder().record([heard(1)], ACTOR)
    (shot,) = await gateway.shots()
    assert before <= shot.received_at <= await gateway.now()


async def test_the_targets_face_goes_before_the_lanes(gateway: Gateway) -> None:
    one, other = replace(heard(1), face="rifle-50m"), replace(heard(2), face="rifle-50m")
    other = replace(other, shot=replace(other.shot, face="pistol-50m"))
    await gateway.recorder().record([one, other], ACTOR)
    assert [shot.face for shot in await gateway.shots()] == ["rifle-50m", "pistol-50m"]


async def test_a_thousand_wait_and_go_together(gateway: Gateway) -> None:
    recorder = gateway.recorder()
    await recorder.put([heard(n) for n in range(1, 1501)])
    async with running(recorder.run()):
        await recorder.drained()
    assert [shot.number for shot in await gateway.shots()] == list(range(1, 1501))
    assert len(gateway.rings) == 2
    assert recorder.recorded == 1500


async def test_shots_wait_while_they_may_not_be_appended(gateway: Gateway) -> None:
    """As when the registration has run out and auth is away."""
    producer, gateway.producer.id = gateway.producer.id, 0
    recorder = gateway.recorder()
    async with running(recorder.run()):
        with structlog.testing.capture_logs() as logs:
            await recorder.put([heard(1), heard(2)])
            while not logs:
                await asyncio.sleep(0)
            assert await gateway.shots() == []
            gateway.producer.id = producer
            await recorder.drained()
    assert [shot.number for shot in await gateway.shots()] == [1, 2]
    assert {entry["event"] for entry in logs} == {"shots.wait"}


async def test_shots_wait_while_the_database_is_away(gateway: Gateway, cluster: Cluster) -> None:
    recorder = gateway.recorder()
    admin = await asyncpg.connect(cluster.url())
    name = gateway.database.name
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    async with running(recorder.run()):
        with structlog.testing.capture_logs() as logs:
            await recorder.put([heard(1)])
            while not logs:
                await asyncio.sleep(0.001)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await recorder.drained()
    await admin.close()
    assert [shot.number for shot in await gateway.shots()] == [1]


async def test_a_shot_that_the_log_will_never_take_does_not_hold_up_its_neighbours(gateway: Gateway) -> None:
    """A device with more gaps than any sound one has is refused."""
    recorder = gateway.recorder()
    mad = [replace(heard(n * 2, lane="lane-2"), device="mad") for n in range(1, 1002)]
    await recorder.record(mad[:1000], ACTOR)
    async with running(recorder.run()):
        with structlog.testing.capture_logs() as logs:
            await recorder.put([heard(1), mad[1000], heard(2)])
            await recorder.drained()
    assert recorder.refused == 1
    assert [entry["event"] for entry in logs] == ["shot.refused"]
    assert [shot.number for shot in await gateway.shots() if shot.device == "target-1"] == [1, 2]


async def test_a_full_queue_makes_the_targets_wait(gateway: Gateway) -> None:
    recorder = gateway.recorder()
    await recorder.put([heard(1)] * 5000)
    waiting = asyncio.create_task(recorder.put([heard(2)]))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with running(recorder.run()):
        await waiting
        await recorder.drained()
    assert [shot.number for shot in await gateway.shots()] == [1, 2]


async def test_what_is_remembered_stays_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "REMEMBERED_SHOTS", 10)
    recorder = gateway.recorder()
    for session in range(12):
        for first in range(1, 25, 6):
            await recorder.record([heard(n, x_um=session) for n in range(first, first + 6)], ACTOR)
    remembered = await gateway.pool.fetch(
        "SELECT epoch, count(*) AS n FROM tracking.target_epoch JOIN tracking.fingerprint USING (epoch) GROUP BY 1"
    )
    assert len(remembered) == epoch_store.EPOCHS_A_LANE
    assert all(row["n"] <= 10 for row in remembered)
    assert len(await gateway.shots()) == 12 * 24


async def test_a_device_that_moves_to_another_lane_keeps_its_epochs(gateway: Gateway) -> None:
    recorder = gateway.recorder()
    named = [replace(heard(n), shot=replace(heard(n).shot, epoch="boot-1")) for n in (1, 2)]
    await recorder.record(named[:1], ACTOR)
    told = await recorder.record([replace(one, lane="lane-2") for one in named], ACTOR)
    assert told == Recorded(1, 1)


async def test_a_stranger_to_the_tables_may_not_write_them(gateway: Gateway) -> None:
    stats = await gateway.database.connect("stats")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await stats.execute("SELECT FROM tracking.lane")
    await stats.close()
