"""Starts programs together, starts again what dies, stops all; if it is killed, they notice and end."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from bus.errors import Refusal
from ops.bounded_log import tail
from ops.child import Program, run_once

PAUSE_S: Final = 0.2  # before a program is started again; doubled at each further death
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 10.0  # a program that has lived so long can start, and is started again without end
FAILURES_AT_START: Final = 3  # by its own exit code, before we believe that it cannot start


class Supervisor:
    """Keeps programs running between entering and leaving `async with`."""

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        tell: Callable[[str], None],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take what to run, the folder of their logs, and who is told in sentences what happens to them."""
        self._programs = programs
        self._environment = environment
        self._logs = logs
        self._tell = tell
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pipe = (-1, -1)

    async def __aenter__(self) -> Self:
        self._pipe = os.pipe()  # our end closes with us, however we end
        self._tasks = [asyncio.create_task(self._keep(program)) for program in self._programs]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for fd in self._pipe:
            os.close(fd)

    async def failed(self) -> None:
        """Wait until a program cannot be started, and raise the Refusal that says so."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _keep(self, program: Program) -> None:
        log = self._logs / f"{program.name}.log"
        failures, ever_steady, pause_s = 0, False, PAUSE_S
        while True:
            started_s = time.monotonic()
            code = await run_once(program, log, self._environment, self._pipe[0], self._stopping)
            if self._stopping.is_set():
                return
            if time.monotonic() - started_s > STEADY_S:
                ever_steady, pause_s = True, PAUSE_S
            if code > 0 and not ever_steady:
                failures += 1
                if failures == FAILURES_AT_START:
                    raise Refusal(f"{program.name} cannot start: its last words, from {log}:\n{tail(log)}")
            else:
                self._tell(f"{program.name} ended ({_manner(code)}) and is started again; its log: {log}")
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                return


def _manner(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
