"""The frame of every long-running process: how it logs, how it is asked to stop, how long that may take."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from uvloop import new_event_loop

from ops.log import configure
from ops.settings import Settings

__all__ = ["GRACE_S", "OUT_OF_PATIENCE", "PARENT_FD", "new_event_loop", "run"]

COLLECT_AFTER: Final = (50_000, 20, 20)  # Python's own: 700, 10, 10
PARENT_FD: Final = "FIRINGLINE_PARENT_FD"
GRACE_S: Final = 2.5  # of the 5 s in which everything stops, PostgreSQL, which stops last, keeps the rest
OUT_OF_PATIENCE: Final = 70
log = structlog.get_logger()


def run(
    main: Callable[[asyncio.Event], Awaitable[None]],
    name: str,
    *,
    grace_s: float = GRACE_S,
    log_level: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Run `main` until it returns; SIGTERM, SIGINT or the end of the parent set the event that it is given.

    From then on it has `grace_s`; after that, or at a second signal, the process ends as it is.
    """
    configure(name, log_level or Settings.from_environment(environment).log_level)
    let_the_collector_rest()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_framed(main, grace_s, environment.get(PARENT_FD)))


def let_the_collector_rest() -> None:
    """Keep the cycle collector from what was made at the start, and from looking after every few hundred objects.

    A batch of a thousand messages makes tens of thousands of short-lived objects and hardly a cycle: looking through
    them took a fifth of a worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _framed(main: Callable[[asyncio.Event], Awaitable[None]], grace_s: float, parent_fd: str | None) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def stop(reason: str) -> None:
        if stopping.is_set():
            os._exit(OUT_OF_PATIENCE)
        log.info("stopping", reason=reason)
        stopping.set()
        _end_after(grace_s)

    def stop_without_a_parent() -> None:
        if not stopping.is_set():
            stop("the parent ended")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    if parent_fd is not None:
        _watch_parent(int(parent_fd), grace_s, lambda: loop.call_soon_threadsafe(stop_without_a_parent))
    await main(stopping)


def _end_after(grace_s: float) -> None:
    """End the process after a while, whatever its loop is doing then."""

    def end() -> None:
        time.sleep(grace_s)
        os._exit(OUT_OF_PATIENCE)

    threading.Thread(target=end, daemon=True, name="patience").start()


def _watch_parent(fd: int, grace_s: float, ended: Callable[[], object]) -> None:
    """Wait in a thread for the parent's end of a pipe to close, even while the loop is busy."""

    def watch() -> None:
        while os.read(fd, 1):
            pass
        _end_after(grace_s)
        ended()

    threading.Thread(target=watch, daemon=True, name="parent").start()
