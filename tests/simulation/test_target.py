"""The played target, as a client of it sees it."""

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from bus.errors import Refusal
from gateway.tracking.frames import Frame, Scanner
from gateway.tracking.shots import Sighted, read_shot
from ops.cli import main
from simulation.shot_files import SAMPLES, Shot, read_shots
from simulation.target import Manners, Target, seasoned

SAMPLE = SAMPLES / "air-pistol-10m.csv"
HIT = Shot(Decimal("1.25"), Decimal("-30.75"))


def shots(count: int) -> list[Shot]:
    return [Shot(Decimal(n), Decimal(0)) for n in range(1, count + 1)]


class Client:
    """One of a target's clients."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.said = b""
        self._scanner = Scanner()

    @classmethod
    async def of(cls, target: Target) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", target.port))

    async def hears(self, count: int) -> list[Sighted]:
        found: list[Sighted] = []
        async with asyncio.timeout(5):
            while len(found) < count and (chunk := await self.reader.read(4096)):
                self.said += chunk
                frames = [one for one in self._scanner.feed(chunk) if isinstance(one, Frame)]
                found += [shot for shot in map(read_shot, frames) if shot is not None]
        return found

    def close(self) -> None:
        self.writer.close()


async def test_every_client_hears_every_shot_and_later_ones_hear_it_again() -> None:
    async with Target() as target:
        early = await Client.of(target)
        await target.has_client()
        target.fire(HIT)
        late = await Client.of(target)
        (first,), (again,) = await early.hears(1), await late.hears(1)
        assert first == again
        assert (first.number, first.x_um, first.y_um) == (1, 1_250, -30_750)
        early.close()
        late.close()


async def test_a_target_repeats_its_last_hundred_shots_of_the_session() -> None:
    async with Target() as target:
        await target.play(shots(130), 0)
        client = await Client.of(target)
        assert [shot.number for shot in await client.hears(100)] == list(range(31, 131))
        client.close()
        target.new_session()
        target.fire(HIT)
        client = await Client.of(target)
        assert [shot.number for shot in await client.hears(1)] == [1]
        client.close()


async def test_a_target_that_does_not_repeat_says_only_what_is_new() -> None:
    async with Target(Manners(repeats=False, banner=False)) as target:
        target.fire(HIT)
        client = await Client.of(target)
        await target.has_client()
        target.fire(HIT)
        assert [shot.number for shot in await client.hears(1)] == [2]
        assert client.said.startswith(b'{"shot":2')
        client.close()


async def test_a_fifth_client_is_turned_away() -> None:
    async with Target(Manners(banner=False)) as target:
        clients = [await Client.of(target) for _ in range(5)]
        assert await clients[4].reader.read() == b""
        target.fire(HIT)
        for client in clients[:4]:
            assert len(await client.hears(1)) == 1
        for client in clients:
            client.close()


@pytest.mark.parametrize("echo", [True, False])
async def test_a_target_echoes_what_it_is_sent(*, echo: bool) -> None:
    async with Target(Manners(banner=False, echo=echo)) as target:
        client = await Client.of(target)
        client.writer.write(b'{"ECHO":0}')
        await client.writer.drain()
        if echo:
            assert await client.reader.readexactly(10) == b'{"ECHO":0}'
        target.fire(HIT)
        assert len(await client.hears(1)) == 1
        assert client.said.startswith(b'{"shot"')
        client.close()


async def test_modern_frames_are_json_and_old_ones_are_not() -> None:
    modern = Target().fire(HIT)
    old = Target(Manners("4.3")).fire(HIT)
    assert json.loads(modern)["x"] == 1.25
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(old)  # VERSION is 4.3.2, without quotes
    assert not modern.endswith(b"\n")
    assert b", ," in Target(Manners(doubled_commas=True)).fire(HIT)


async def test_the_clock_of_a_session_has_run_for_a_while_and_runs_on() -> None:
    target = Target()
    first, second = (json.loads(target.fire(HIT))["time"] for _ in range(2))
    target.new_session()
    other = json.loads(target.fire(HIT))["time"]
    assert 1000 <= first <= second
    assert other != first


def test_sighters_and_misses_are_added_where_asked() -> None:
    found = seasoned(shots(4), sighters=1, miss_every=2)
    assert [(shot.kind, shot.miss) for shot in found] == [
        ("sighter", False),
        ("match", False),
        ("match", True),
        ("match", False),
        ("match", False),
        ("match", True),
    ]


async def test_a_port_in_use_is_said_in_one_sentence() -> None:
    async with Target() as target:
        with pytest.raises(Refusal, match=f"Port {target.port}"):
            await Target().start(port=target.port)


# Files


def test_our_sample_has_sighters_a_miss_and_match_shots() -> None:
    found = read_shots(SAMPLE)
    assert len(found) == 45
    assert [shot.kind for shot in found[:5]] == ["sighter"] * 5
    assert sum(shot.miss for shot in found) == 1


def test_a_targetscan_export_is_read(tmp_path: Path) -> None:
    file = tmp_path / "scan.csv"
    file.write_text('\ufeffShot Number,Scan Number,Score,x,y\n"1","1","10*","1.20","-0.61"\n', encoding="utf-8")
    assert read_shots(file) == [Shot(Decimal("1.20"), Decimal("-0.61"))]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no file of shots"),
        (b"x,y\n1,2\n", "no file of shots"),
        (b"kind,x_mm,y_mm\nhit,1,2\n", "line 2: a shot is one of"),
        (b"kind,x_mm,y_mm\nmatch,1,2\nmatch,one,2\n", "line 3: 'one' is no length"),
        (b"kind,x_mm,y_mm\nmatch,1\n", "line 2: None is no length"),
        (b"kind,x_mm,y_mm\nmatch,NaN,2\n", "further away than ten metres"),
        (b"kind,x_mm,y_mm\nmatch,1e9,2\n", "further away than ten metres"),
        (b"\xff\xfe\x00", "no text file"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "shots.csv"
    file.write_bytes(content)
    with pytest.raises(Refusal, match=complaint):
        read_shots(file)


# The command


def test_the_command_plays_a_file_and_ends() -> None:
    told = CliRunner().invoke(main, ["target", str(SAMPLE), "--port", "0", "--interval-ms", "0", "--no-wait", "--once"])
    assert told.exit_code == 0, told.output
    assert told.output.count("match") == 39
    assert "45 match" in told.output


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["target", str(tmp_path / "absent.csv")])
    assert told.exit_code == 1
    assert told.output.count("\n") == 1
    assert "cannot be read" in told.output


def test_the_command_listens_on_until_it_is_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.cli", "target", str(SAMPLE), "--port", "0", "--interval-ms", "0", "--no-wait"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any("All shots are fired" in line for line in iter(process.stdout.readline, ""))
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
