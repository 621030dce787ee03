import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import asyncpg
import pytest
import structlog

from bus.tasks import running
from gateway.tracking import epoch_store, epochs, spool
from gateway.tracking.journal import Entry
from gateway.tracking.spool import Part, Recorded
from gateway.tracking.ways import TCP
from ops.postgres import Cluster
from tests.gateway.tracking.conftest import Gateway
from tests.gateway.tracking.test_epochs import sighted


def heard(
    number: int,
    *,
    at: datetime | None = None,
    live: bool = True,
    lane: str = "lane-1",
    device: str = "target-1",
    face: str | None = None,
    shot_face: str | None = None,
    epoch: str | None = None,
    **facts: int,
) -> Part:
    """A frame of a target's, and the shot in it."""
    elapsed_ms = facts.get("elapsed_ms", number * 1000)
    shot = replace(sighted(number, x_um=facts.get("x_um", number), elapsed_ms=elapsed_ms), face=shot_face, epoch=epoch)
    raw = b'{"shot":%d, "time":%d, "x":%.3f, "y":%.3f}' % (number, elapsed_ms, shot.x_um / 1000, shot.y_um / 1000)
    return Part(Entry(device, lane, TCP, at, raw, live, face), [shot])


async def test_a_shot_is_in_the_log_once_however_often_it_comes(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        first = await recording.record([heard(1), heard(2), heard(1)])
        again = await recording.record([heard(1), heard(2), heard(3)])
    assert (first, again) == (Recorded(2, 1), Recorded(1, 2))
    assert [shot.number for shot in await gateway.shots()] == [1, 2, 3]
    assert len(gateway.rings) == 2


async def test_what_is_remembered_outlives_the_process(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        await recording.record([heard(1), heard(2)])
    async with gateway.recording() as recording:
        await recording.record([heard(1), heard(2), heard(1, x_um=99, elapsed_ms=500), heard(2, x_um=98)])
    shots = await gateway.shots()
    assert [(shot.number, shot.x_um) for shot in shots] == [(1, 1), (2, 2), (1, 99), (2, 98)]
    assert len({(shot.epoch, shot.number) for shot in shots}) == 4


async def test_two_gateways_that_hear_the_same_record_it_once(gateway: Gateway) -> None:
    dice = Random(1)
    shots = [heard(n % 10 + 1, x_um=n, elapsed_ms=n * 1000) for n in range(60)]  # six sessions of ten shots

    async def one_way() -> None:
        async with gateway.recording() as recording:
            for first in range(0, 60, 10):
                session = shots[first : first + 10]
                for cut in sorted(dice.sample(range(1, 10), 3)):
                    await recording.record(session[:cut])
                await recording.record(session)
                await both.wait()

    both = asyncio.Barrier(2)
    await asyncio.gather(one_way(), one_way())
    assert [shot.x_um for shot in await gateway.shots()] == list(range(60))


async def test_shots_missed_in_an_outage_are_dated_back(gateway: Gateway) -> None:
    now = await gateway.now()
    async with gateway.recording() as recording:
        await recording.record([heard(1, at=now - timedelta(minutes=10))])
        await recording.record([heard(n, at=now, live=False) for n in (1, 2, 31)])
    _, second, last = await gateway.shots()
    assert second.received_at == now - timedelta(minutes=10) + timedelta(seconds=1)
    assert last.received_at == now - timedelta(minutes=10) + timedelta(seconds=30)


async def test_a_shot_without_a_time_gets_the_databases(gateway: Gateway) -> None:
    before = await gateway.now()
    async with gateway.recording() as recording:
        await recording.record([heard(1)])
    (shot,) = await gateway.shots()
    assert before <= shot.received_at <= await gateway.now()


async def test_the_targets_face_goes_before_the_lanes(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        await recording.record([heard(1, face="rifle-50m"), heard(2, face="rifle-50m", shot_face="pistol-50m")])
    assert [shot.face for shot in await gateway.shots()] == ["rifle-50m", "pistol-50m"]


async def test_a_thousand_wait_and_go_together(gateway: Gateway) -> None:
    recording = gateway.idle()
    await recording.spool.keep([heard(n) for n in range(1, 1501)])
    async with running(recording.recorder.run()):
        await recording.spool.emptied()
    assert [shot.number for shot in await gateway.shots()] == list(range(1, 1501))
    assert len(gateway.rings) == 2
    assert recording.recorder.recorded == 1500


async def test_shots_wait_while_they_may_not_be_appended(gateway: Gateway) -> None:
    """As when the registration has run out and auth is away."""
    producer, gateway.producer.id = gateway.producer.id, 0
    async with gateway.recording() as recording:
        with structlog.testing.capture_logs() as logs:
            await recording.spool.keep([heard(1), heard(2)])
            while not logs:
                await asyncio.sleep(0)
            assert await gateway.shots() == []
            gateway.producer.id = producer
            await recording.spool.emptied()
    assert [shot.number for shot in await gateway.shots()] == [1, 2]
    assert {entry["event"] for entry in logs} == {"shots.wait"}


async def test_shots_wait_while_the_database_is_away(gateway: Gateway, cluster: Cluster) -> None:
    admin = await asyncpg.connect(cluster.url())
    name = gateway.database.name
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    async with gateway.recording() as recording:
        with structlog.testing.capture_logs() as logs:
            await recording.spool.keep([heard(1)])
            while not logs:
                await asyncio.sleep(0.001)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await recording.spool.emptied()
    await admin.close()
    assert [shot.number for shot in await gateway.shots()] == [1]


async def test_a_shot_that_the_log_will_never_take_does_not_hold_up_its_neighbours(gateway: Gateway) -> None:
    """A device with more gaps than any sound one has is refused."""
    mad = [heard(n * 2, lane="lane-2", device="mad") for n in range(1, 1002)]
    async with gateway.recording() as recording:
        await recording.record(mad[:1000])
        with structlog.testing.capture_logs() as logs:
            await recording.spool.keep([heard(1), mad[1000], heard(2)])
            await recording.spool.emptied()
        assert recording.recorder.refused == 1
        assert [entry["event"] for entry in logs] == ["shot.refused"]
    async with gateway.recording() as again:
        await again.spool.emptied()
        assert again.recorder.refused == 0
    assert [shot.number for shot in await gateway.shots() if shot.device == "target-1"] == [1, 2]


async def test_a_shot_of_a_shape_that_the_log_does_not_know_does_not_hold_up_its_neighbours(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        await recording.spool.keep([heard(1), heard(2, shot_face="no face of\0 anybody's"), heard(3)])
        await recording.spool.emptied()
        assert recording.recorder.refused == 1
        assert await recording.record([heard(4)]) == Recorded(1, 0)
    assert [shot.number for shot in await gateway.shots()] == [1, 3, 4]


async def test_what_a_newer_version_kept_does_not_hold_up_its_neighbours(gateway: Gateway) -> None:
    journal = gateway.journal()
    newer = replace(heard(2).entry, way="by-pigeon")
    journal.keep([heard(1).entry, newer, heard(3).entry])
    journal.close()
    async with gateway.recording() as recording:
        assert await recording.record([heard(4)]) == Recorded(1, 0)
    assert [shot.number for shot in await gateway.shots()] == [1, 3, 4]


async def test_what_does_not_fit_in_memory_is_read_back_in_order(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 10)
    recording = gateway.idle()
    for first in range(1, 200, 7):
        await recording.spool.keep([heard(n) for n in range(first, min(first + 7, 200))])
    assert len(recording.spool._items) < 20
    async with running(recording.recorder.run()):
        for n in range(200, 260):
            await recording.spool.keep([heard(n)])
        await recording.spool.emptied()
        assert await recording.record([heard(260)]) == Recorded(1, 0)
    assert [shot.number for shot in await gateway.shots()] == list(range(1, 261))
    assert recording.recorder.repeated == 0


async def test_missing_numbers_are_reported_until_they_come(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        with structlog.testing.capture_logs() as logs:
            for number in (1, 2, 5, 6, 9):
                await recording.record([heard(number)])
        assert [one["numbers"] for one in logs if one["event"] == "shots.missing"] == [[(3, 5)], [(3, 5), (7, 9)]]
        (missing,) = recording.recorder.missing.values()
        assert missing == [(3, 5), (7, 9)]
        await recording.record([heard(n) for n in (3, 4, 7, 8)])
        assert recording.recorder.missing == {}


async def test_what_is_remembered_stays_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "REMEMBERED_SHOTS", 10)
    async with gateway.recording() as recording:
        for session in range(12):
            for first in range(1, 25, 6):
                await recording.record([heard(n, x_um=session) for n in range(first, first + 6)])
    remembered = await gateway.pool.fetch(
        "SELECT epoch, count(*) AS n FROM tracking.target_epoch JOIN tracking.fingerprint USING (epoch) GROUP BY 1"
    )
    assert len(remembered) == epoch_store.EPOCHS_A_LANE
    assert all(row["n"] <= 10 for row in remembered)
    assert len(await gateway.shots()) == 12 * 24


async def test_a_device_that_moves_to_another_lane_keeps_its_epochs(gateway: Gateway) -> None:
    async with gateway.recording() as recording:
        await recording.record([heard(1, epoch="boot-1")])
        told = await recording.record([heard(n, epoch="boot-1", lane="lane-2") for n in (1, 2)])
    assert told == Recorded(1, 1)


async def test_a_stranger_to_the_tables_may_not_write_them(gateway: Gateway) -> None:
    stats = await gateway.database.connect("stats")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await stats.execute("SELECT FROM tracking.lane")
    await stats.close()
