import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from ops.postgres import free_port
from tests.ops.waiting import is_gone, wait_until

NAMES = ("gateway", "auth", "booking")
Begin = Callable[..., "Range"]


class Range:
    """A `firingline up` with stand-ins for its children."""

    def __init__(self, home: Path, port: int, **environment: str) -> None:
        self.home = home
        self.port = port
        self.said = home.parent / f"{home.name}.said"
        with self.said.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.ops.range_of_stand_ins", "up"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **{name: text for name, text in os.environ.items() if name != "DATABASE_URL"},
                    "FIRINGLINE_HOME": str(home),
                    "FIRINGLINE_PORT": str(port),
                    "FIRINGLINE_AUTH_PORT": str(free_port()),
                    **environment,
                },
            )

    def words(self) -> str:
        return self.said.read_text()

    def wait_until_up(self) -> None:
        wait_until(lambda: "Firingline is up" in self.words() or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.words()
        wait_until(lambda: all((self.home / "running" / name).exists() for name in NAMES))

    def child(self, name: str) -> int:
        return int((self.home / "running" / name).read_text().split()[0])

    def kill(self) -> None:
        """Kill it hard and wait until nothing is left."""
        everything = self.processes()
        self.process.kill()
        self.process.wait()
        wait_until(lambda: all(map(is_gone, everything)), within_s=5)

    def processes(self) -> set[int]:
        """Return the numbers of everything that runs for this range."""
        return {process.pid for process in psutil.Process(self.process.pid).children(recursive=True)}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    ranges: list[Range] = []

    def begin(home: Path = tmp_path / "home", port: int | None = None, **environment: str) -> Range:
        for mark in (home / "running").glob("*"):
            mark.unlink()
        begun = Range(home, port or free_port(), **environment)
        ranges.append(begun)
        return begun

    yield begin
    for begun in ranges:
        if begun.process.poll() is None:
            begun.kill()


def test_the_whole_life_of_a_range(begin: Begin) -> None:
    """One story, since each start takes a second: up, a death, Ctrl-C, up again, killed hard, up again."""
    first = begin()
    first.wait_until_up()
    assert urlopen(f"http://127.0.0.1:{first.port}/health/ready").status == 200
    assert f"http://127.0.0.1:{first.port}\n" in first.words()
    children = {name: first.child(name) for name in NAMES}
    assert all(os.getpgid(pid) == pid for pid in children.values()), "each child leads a group of its own"
    with_password = re.compile("://[^/@]*:[^/@]*@")
    assert not any(with_password.search((first.home / "running" / name).read_text()) for name in NAMES)

    (first.home / "running" / "booking").unlink()
    os.kill(children["booking"], signal.SIGKILL)
    wait_until((first.home / "running" / "booking").exists)
    assert first.child("booking") != children["booking"]
    wait_until(lambda: "booking ended (killed by SIGKILL) and is started again" in first.words())

    everything = first.processes()
    assert len(everything) >= 5, "three children, the guardian, PostgreSQL"
    began_s = time.monotonic()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert all(map(is_gone, everything))
    assert not (first.home / "database_url").exists()
    assert (first.home / "log" / "booking.log").stat().st_size > 0

    second = begin(port=first.port)
    second.wait_until_up()
    second.kill()

    third = begin(port=first.port)
    third.wait_until_up()
    third.process.send_signal(signal.SIGTERM)
    assert third.process.wait(10) == 0


def test_a_start_right_after_a_hard_end_waits_for_what_is_left(begin: Begin) -> None:
    first = begin()
    first.wait_until_up()
    first.process.kill()
    first.process.wait()
    second = begin(port=first.port)
    second.wait_until_up()


def test_postgres_is_started_again_on_the_same_port(begin: Begin) -> None:
    begun = begin()
    begun.wait_until_up()
    lock = begun.home / "postgres" / "postmaster.pid"
    before = lock.read_text().split("\n")
    os.kill(int(before[0]), signal.SIGKILL)
    wait_until(lambda: "PostgreSQL ended; it is started again" in begun.words())
    wait_until(lambda: lock.exists() and "ready" in lock.read_text() and lock.read_text().split("\n")[0] != before[0])
    assert lock.read_text().split("\n")[3] == before[3]


def test_a_child_that_does_not_listen_is_ended_all_the_same(begin: Begin) -> None:
    begun = begin(BOOKING="--deaf")
    begun.wait_until_up()
    everything = begun.processes()
    began_s = time.monotonic()
    begun.process.send_signal(signal.SIGINT)
    assert begun.process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert all(map(is_gone, everything))


def test_a_child_that_is_killed_again_and_again_is_started_again_each_time(begin: Begin) -> None:
    begun = begin()
    begun.wait_until_up()
    mark = begun.home / "running" / "auth"
    for _ in range(3):
        pid = begun.child("auth")
        mark.unlink()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: mark.exists() and mark.read_text(), within_s=20)
    assert begun.process.poll() is None


def test_a_child_that_cannot_start_is_shown_with_its_last_words(begin: Begin) -> None:
    begun = begin(BOOKING="--fail 'no lanes painted'")
    assert begun.process.wait(20) == 1
    assert "booking cannot start: its last words" in begun.words()
    assert begun.words().rstrip().endswith("no lanes painted")


def test_a_port_in_use_is_one_sentence(begin: Begin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        begun = begin(port=port)
        assert begun.process.wait(10) == 1
    assert begun.words() == (
        f"firingline: Port {port} of 127.0.0.1 is in use by another program: "
        "end it, or set FIRINGLINE_PORT to another.\n"
    )


def test_a_second_one_over_the_same_home_is_refused(begin: Begin) -> None:
    first = begin()
    first.wait_until_up()
    second = Range(first.home, free_port())
    assert second.process.wait(10) == 1
    assert f"Firingline is running already in {first.home} (process {first.process.pid})" in second.words()
    assert first.process.poll() is None


def test_a_foreign_data_folder_is_one_sentence(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "home" / "postgres").mkdir(parents=True)
    begun = begin()
    assert begun.process.wait(10) == 1
    assert re.fullmatch(r"Starting .*\nfiringline: .* is no PostgreSQL data: .*\n", begun.words())
