"""Every way of connecting, against a machine that speaks it on a real socket, file or broker, with its usual faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from amqtt.broker import Broker as RealBroker

from gateway.tracking.address import Address
from gateway.tracking.sources import files, reconnecting
from gateway.tracking.tracking import Tracking
from handlers.stats.events import ShotRecorded
from simulation.makers import Faults
from simulation.shot_files import Shot
from simulation.speakers import NONE, speak
from tests.gateway.tracking.conftest import Gateway, Lane
from tests.gateway.tracking.test_freetarget import recorded, until
from tests.journeys.processes import free_port

FAULTS = Faults(broken=0.3, repeated=0.3, swapped=0.2, drift=1.01)
SHOTS = [Shot(Decimal(n) / 4, Decimal(-n) / 2, "sighter" if n < 3 else "match") for n in range(1, 21)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(reconnecting, "FIRST_S", 0.02)
    monkeypatch.setattr(reconnecting, "LONGEST_S", 0.1)


@asynccontextmanager
async def mqtt_broker(port: int) -> AsyncIterator[RealBroker]:
    """An MQTT broker of somebody else's make."""
    made = RealBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await made.start()
    try:
        yield made
    finally:
        await made.shutdown()


@asynccontextmanager
async def following(gateway: Gateway, address: str) -> AsyncIterator[Tracking]:
    gateway.lanes = [Lane("lane-1", "air-pistol-10m", address)]
    async with gateway.at_work() as tracking:

        async def connected() -> bool:
            return any(one.connected for one in tracking.status())

        await until(connected)
        yield tracking


async def say(way: str, to: str, shots: list[Shot], *, faults: Faults = NONE, interval_s: float = 0.012) -> None:
    await speak(way, to, shots, interval_s, faults=faults, dice=Random(5), told=lambda _: None)


def places(found: list[ShotRecorded]) -> list[tuple[int, int]]:
    return sorted((shot.x_um, shot.y_um) for shot in found)


WANTED = sorted((int(shot.x_mm * 1000), int(shot.y_mm * 1000)) for shot in SHOTS)


async def test_disags_datagrams_with_faults_count_once_each(gateway: Gateway) -> None:
    port = free_port()
    async with following(gateway, f"disag://127.0.0.1:{port}?range=3") as tracking:
        await say("disag", f"127.0.0.1:{port}", SHOTS, faults=FAULTS)
        found = await recorded(gateway, len(SHOTS))
        (status,) = tracking.status()
    assert places(found) == WANTED
    assert [shot.kind for shot in found].count("sighter") == 2
    assert {shot.device_tenths is not None for shot in found} == {True}
    assert status.counts.wrong > 0
    assert status.counts.skew_s is not None


async def test_a_file_of_sius_that_grows_with_faults_counts_each_row_once(gateway: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "sius"
    folder.mkdir()
    writing = asyncio.create_task(say("sius", str(folder), SHOTS[:10], faults=FAULTS))
    async with following(gateway, f"sius://{folder}?point=3"):
        await writing
        await recorded(gateway, 10)
    await say("sius", str(folder), SHOTS[10:15])  # while nobody reads
    async with following(gateway, f"sius://{folder}?point=3"):
        await say("sius", str(folder), SHOTS[15:], faults=FAULTS)
        found = await recorded(gateway, len(SHOTS))
    assert places(found) == WANTED


async def test_points_of_one_source_are_lanes_of_their_own(gateway: Gateway) -> None:
    port = free_port()
    gateway.lanes = [
        Lane("lane-3", "air-pistol-10m", f"disag://127.0.0.1:{port}?range=3"),
        Lane("lane-4", "air-pistol-10m", f"disag://127.0.0.1:{port}?range=4"),
    ]
    async with gateway.at_work() as tracking:

        async def connected() -> bool:
            return [one.connected for one in tracking.status()] == [True, True]

        await until(connected)
        await say("disag", f"127.0.0.1:{port}", SHOTS[:3])
        found = await recorded(gateway, 3)
    assert {(shot.lane, shot.device) for shot in found} == {("lane-3", "lane-3")}


@pytest.mark.parametrize("way", ["megalink", "megalink-1", "sse"])
async def test_served_events_count_each_shot_once(gateway: Gateway, way: str) -> None:
    port = free_port()
    scheme = "freetarget+sse" if way == "sse" else "megalink+http"
    rest = "" if way == "sse" else "/range.json?point=3"
    saying = asyncio.create_task(say(way, f"127.0.0.1:{port}", SHOTS, interval_s=0.1))
    async with following(gateway, f"{scheme}://127.0.0.1:{port}{rest}"):
        found = await recorded(gateway, 1 if way == "sse" else len(SHOTS))
        await saying
    if way == "sse":  # what falls while it asks again is not told
        found = await gateway.shots()
        assert set(places(found)) <= set(WANTED)
    else:
        off_um = max(
            abs(a - b)
            for one, other in zip(places(found), WANTED, strict=True)
            for a, b in zip(one, other, strict=True)
        )
        assert off_um <= (0 if way == "megalink" else 1)
    assert len({(shot.epoch, shot.number) for shot in found}) == len(found)


async def test_our_own_form_over_a_broker_with_faults_counts_once_each(gateway: Gateway) -> None:
    port = free_port()
    async with mqtt_broker(port), following(gateway, f"mqtt://pad-1@127.0.0.1:{port}"):
        await say("mqtt", f"127.0.0.1:{port}/firingline/pad-1/shots", SHOTS, faults=FAULTS)
        found = await recorded(gateway, len(SHOTS))
    assert places(found) == WANTED
    assert {shot.device for shot in found} == {"pad-1"}


async def test_biathlon_results_over_a_broker_tell_each_plate_once(gateway: Gateway) -> None:
    port = free_port()
    async with mqtt_broker(port), following(gateway, f"mqtt+biathlon://127.0.0.1:{port}?lane=3"):
        await say("biathlon", f"127.0.0.1:{port}", SHOTS[:5], faults=FAULTS)
        found = await recorded(gateway, 5)
    assert {shot.face for shot in found} == {"biathlon-50m"}
    assert len({(shot.epoch, shot.number) for shot in found}) == 5


async def test_a_table_that_any_program_writes_is_read_by_its_mapping(gateway: Gateway, tmp_path: Path) -> None:
    mappings = gateway.home / "mappings"
    mappings.mkdir()
    (mappings / "club.json").write_text('{"x": "X", "y": "Y", "number": "No", "separator": ";"}')
    path = tmp_path / "shots.csv"
    path.write_text("The club\nNo;X;Y\n1;0.25;-0.5\nrubbish\n2;0.5;")
    async with following(gateway, f"csv://{path}?mapping=club"):
        await recorded(gateway, 1)
        with path.open("a") as file:
            file.write("-1.0\n3;0.75;-1.5\n")
        found = await recorded(gateway, 3)
    assert places(found) == WANTED[:3]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("freetarget://target-1@10.0.0.7", ("target-1", "freetarget", "10.0.0.7", 1090, "", "")),
        ("disag://0.0.0.0?range=3&zone=Europe/Berlin", ("lane-1", "disag", "0.0.0.0", 30169, "", "3")),  # noqa: S104
        ("sius:///srv/sius?point=19", ("lane-1", "sius", "", 0, "/srv/sius", "19")),
        ("mqtt+biathlon://broker?lane=7", ("lane-1", "mqtt+biathlon", "broker", 1883, "", "7")),
        (
            "megalink+https://host/data/a/b.json?point=9",
            ("lane-1", "megalink+https", "host", 443, "/data/a/b.json", "9"),
        ),
        ("csv:///srv/x.csv?mapping=targetscan", ("lane-1", "csv", "", 0, "/srv/x.csv", "")),
        ("disag://0.0.0.0", None),
        ("sius://?point=1", None),
        ("sius:///srv?point=1&colour=red", None),
        ("csv:///srv/x.csv?mapping=../../key", None),
        ("ftp://host", None),
        ("freetarget://", None),
    ],
)
def test_addresses(text: str, wanted: tuple[object, ...] | None) -> None:
    found = Address.parse(text, "lane-1")
    told = found and (found.device, found.source.scheme, found.host, found.port, found.source.path, found.point)
    assert told == wanted
