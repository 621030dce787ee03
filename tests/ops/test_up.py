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
from ops.supervisor import FAILURES_AT_START
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


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Range]:
    """Run one for the tests that leave it running."""
    running = Range(home / "running", free_port())
    try:
        running.wait_until_up()
        yield running
    finally:
        running.kill()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start one that the test ends itself."""
    begun: list[Range] = []

    def begin(port: int | None = None, **environment: str) -> Range:
        for mark in (tmp_path / "home" / "running").glob("*"):
            mark.unlink()
        begun.append(Range(tmp_path / "home", port or free_port(), **environment))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.kill()


def test_requests_are_answered_where_it_says(running: Range) -> None:
    with urlopen(f"http://127.0.0.1:{running.port}/health/ready") as answer:
        assert answer.status == 200
    assert f"Firingline is up: http://127.0.0.1:{running.port}\n" in running.words()


def test_the_demo_accounts_are_shown(running: Range) -> None:
    assert f"shooter  shooter@range  for http://127.0.0.1:{running.port}\n" in running.words()


def test_each_child_leads_a_group_of_its_own(running: Range) -> None:
    assert all(os.getpgid(running.child(name)) == running.child(name) for name in NAMES)


def test_no_child_knows_the_superusers_password(running: Range) -> None:
    url = (running.home / "running" / "booking").read_text().split()[1]
    assert re.fullmatch(r"postgresql://postgres@127\.0\.0\.1:\d+/firingline", url)


def test_a_second_one_over_the_same_home_is_refused(running: Range) -> None:
    second = Range(running.home, free_port())
    assert second.process.wait(20) == 1
    assert f"Firingline is running already in {running.home} (process {running.process.pid})" in second.words()
    assert running.process.poll() is None


def test_a_child_that_is_killed_again_and_again_is_started_again_each_time(running: Range) -> None:
    mark = running.home / "running" / "auth"
    for _ in range(FAILURES_AT_START):
        pid = running.child("auth")
        mark.unlink()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: mark.exists() and mark.read_text(), within_s=20)
        assert running.child("auth") != pid
    assert running.words().count("auth ended (killed by SIGKILL) and is started again") == FAILURES_AT_START
    assert running.process.poll() is None


def test_postgres_is_started_again_on_the_same_port(running: Range) -> None:
    lock = running.home / "postgres" / "postmaster.pid"
    before = lock.read_text().split("\n")
    os.kill(int(before[0]), signal.SIGKILL)
    wait_until(lambda: "PostgreSQL ended; it is started again" in running.words())
    wait_until(lambda: lock.exists() and "ready" in lock.read_text() and lock.read_text().split("\n")[0] != before[0])
    assert lock.read_text().split("\n")[3] == before[3]


def test_ctrl_c_stops_everything_and_the_next_start_goes_on_with_the_same_data(begin: Begin) -> None:
    first = begin()
    first.wait_until_up()
    everything = first.processes()
    assert len(everything) >= 5, "three children, the guardian, PostgreSQL"
    began_s = time.monotonic()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert all(map(is_gone, everything))
    assert not (first.home / "database_url").exists()
    accounts = (first.home / "demo_accounts.json").read_text()
    made_at_ns = (first.home / "postgres" / "PG_VERSION").stat().st_ctime_ns

    second = begin(port=first.port)
    second.wait_until_up()
    assert (first.home / "demo_accounts.json").read_text() == accounts, "the demo range is loaded once"
    assert (second.home / "postgres" / "PG_VERSION").stat().st_ctime_ns == made_at_ns
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(10) == 0


def test_a_hard_end_leaves_nothing_running_and_the_next_can_start_at_once(begin: Begin) -> None:
    first = begin(GATEWAY="--slow")  # it holds its port for a while
    first.wait_until_up()
    everything = first.processes()
    first.process.kill()
    first.process.wait()
    second = begin(port=first.port)
    wait_until(lambda: all(map(is_gone, everything)), within_s=5)
    second.wait_until_up()


def test_a_child_that_does_not_listen_is_ended_all_the_same(begin: Begin) -> None:
    begun = begin(BOOKING="--deaf")
    begun.wait_until_up()
    everything = begun.processes()
    began_s = time.monotonic()
    begun.process.send_signal(signal.SIGINT)
    assert begun.process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert all(map(is_gone, everything))


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


def test_a_foreign_data_folder_is_one_sentence(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "home" / "postgres").mkdir(parents=True)
    begun = begin()
    assert begun.process.wait(10) == 1
    assert re.fullmatch(r"Starting .*\nfiringline: .* is no PostgreSQL data: .*\n", begun.words())
