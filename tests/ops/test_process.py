import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from ops.process import GRACE_S, OUT_OF_PATIENCE, PARENT_FD

FRAME = """
import asyncio, sys, time
import structlog
from ops.process import run

async def polite(stopping):
    print("running", flush=True)
    await stopping.wait()
    print("stopped", flush=True)

async def deaf(stopping):
    print("running", flush=True)
    await asyncio.Event().wait()

async def busy(stopping):
    print("running", flush=True)
    time.sleep(60)

async def talkative(stopping):
    structlog.get_logger().info("lane held", lane=3)
    import logging
    logging.getLogger("library").warning("%s is odd", "this")
    try:
        1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")

async def broken(stopping):
    raise ValueError("a mistake")

run(globals()[sys.argv[1]], "a-test", grace_s=float(sys.argv[2]))
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process of one of the kinds above and wait until it runs."""
    started = []

    def start(kind: str, *, grace_s: float = GRACE_S, parent_fd: int | None = None) -> "subprocess.Popen[str]":
        environment = {**os.environ} | ({} if parent_fd is None else {PARENT_FD: str(parent_fd)})
        process = subprocess.Popen(
            [sys.executable, "-c", FRAME, kind, str(grace_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            pass_fds=() if parent_fd is None else (parent_fd,),
        )
        started.append(process)
        assert process.stdout is not None
        if kind in {"polite", "deaf", "busy"}:
            assert process.stdout.readline() == "running\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop(start: Start, number: signal.Signals) -> None:
    process = start("polite")
    process.send_signal(number)
    assert process.communicate(timeout=10)[0] == "stopped\n"
    assert process.returncode == 0


def test_a_second_signal_ends_at_once(start: Start) -> None:
    process = start("deaf", grace_s=30)
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert "stopping" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == OUT_OF_PATIENCE
    assert time.monotonic() - began_s < 10


def test_a_stop_that_takes_too_long_is_cut_short(start: Start) -> None:
    process = start("deaf", grace_s=0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == OUT_OF_PATIENCE


@pytest.mark.parametrize(("kind", "code"), [("polite", 0), ("busy", OUT_OF_PATIENCE)])
def test_when_the_parent_ends_the_child_ends(start: Start, kind: str, code: int) -> None:
    reader, writer = os.pipe()
    process = start(kind, grace_s=0.3, parent_fd=reader)
    os.close(reader)
    assert process.poll() is None
    os.close(writer)
    assert process.wait(10) == code


def test_what_it_says_is_json_that_names_the_process(start: Start) -> None:
    said = start("talkative").communicate(timeout=10)[1].splitlines()
    held, odd, failed = map(json.loads, said)
    assert held["event"] == "lane held"
    assert held["lane"] == 3
    assert odd["event"] == "this is odd"
    assert odd["level"] == "warning"
    assert failed["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert {line["process"] for line in (held, odd, failed)} == {"a-test"}


def test_a_mistake_ends_the_process_with_its_trace(start: Start) -> None:
    process = start("broken")
    assert "ValueError: a mistake" in process.communicate(timeout=10)[1]
    assert process.returncode == 1
