"""Keeps a PostgreSQL server exactly as long as the process that asked for it.

Standard input is a pipe from that process. When it ends, however it ended, the server is stopped: fast first,
immediately if that takes too long. Run as `python -m ops.guardian`, by ops.postgres only.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.bounded_log import BoundedLog

FAST_STOP_S: Final = 1.5  # a server ended at once recovers at its next start
IMMEDIATE_STOP_S: Final = 2.0
PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    arguments = _arguments()
    wake = _wake_on_signals()
    log = BoundedLog(arguments.log)
    server = subprocess.Popen(
        arguments.command,
        cwd=arguments.data,
        user=arguments.uid,
        group=arguments.gid,
        extra_groups=None if arguments.uid is None else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=_stop_with_the_guardian if sys.platform == "linux" else None,  # noqa: PLW1509 (one thread)
    )
    _keep(server, wake, log)
    shutil.rmtree(arguments.sockets, ignore_errors=True)
    return server.returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--sockets", type=Path, required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def _wake_on_signals() -> int:
    """Return a file descriptor that becomes readable when a signal arrives."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _keep(server: subprocess.Popen[bytes], wake: int, log: BoundedLog) -> None:
    """Copy the server's words to the log until it ends; stop it when the pipe closes or a signal says so."""
    assert server.stdout is not None
    words = server.stdout.fileno()
    os.set_blocking(words, False)
    steps = _steps_of_a_stop()
    deadline_s: float | None = None
    watched = [sys.stdin.fileno(), wake, words]
    while server.poll() is None:
        patience_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        ready = select.select(watched, [], [], patience_s)[0]
        if words in ready and not _copy(words, log):
            watched.remove(words)
        asked = (wake in ready and _asks_to_stop(wake)) or sys.stdin.fileno() in ready
        if (asked and deadline_s is None) or (deadline_s is not None and time.monotonic() >= deadline_s):
            number, patience_s = next(steps)
            server.send_signal(number)
            deadline_s = time.monotonic() + patience_s
            if sys.stdin.fileno() in watched:
                watched.remove(sys.stdin.fileno())
    _copy(words, log)


def _steps_of_a_stop() -> Iterator[tuple[signal.Signals, float]]:
    yield signal.SIGINT, FAST_STOP_S
    yield signal.SIGQUIT, IMMEDIATE_STOP_S
    while True:
        yield signal.SIGKILL, IMMEDIATE_STOP_S


def _asks_to_stop(wake: int) -> bool:
    return any(number != signal.SIGCHLD for number in os.read(wake, 4096))


def _copy(words: int, log: BoundedLog) -> bool:
    """Copy what the server said; False when it will say no more."""
    try:
        while chunk := os.read(words, 65_536):
            log.write(chunk)
    except BlockingIOError:
        return True
    return False


def _stop_with_the_guardian() -> None:
    """Ask Linux to stop the server (fast) should this process be killed hard."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
