"""One supervised process: given a pipe to us, its words kept in a bounded log, ended with all it started."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.bounded_log import BoundedLog
from ops.process import GRACE_S, PARENT_FD

STOP_S: Final = GRACE_S + 0.25
LAST_WORDS_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Program:
    """What to run under which name."""

    name: str
    command: Sequence[str]


async def run_once(
    program: Program, log_path: Path, environment: Mapping[str, str], parent_fd: int, stopping: asyncio.Event
) -> int:
    """Run the program until it ends by itself or, once `stopping` is set, is ended; return its exit code."""
    process = await asyncio.create_subprocess_exec(
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment, PARENT_FD: str(parent_fd)},
        pass_fds=(parent_fd,),
        start_new_session=True,  # a Ctrl-C on the terminal is for us to pass on
    )
    assert process.stdout is not None
    words = asyncio.create_task(_keep_words(process.stdout, log_path))
    ended = asyncio.create_task(process.wait())
    asked = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            _signal(process.pid, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=STOP_S)
    finally:
        _signal(process.pid, signal.SIGKILL, group=True)
        code = await ended
        asked.cancel()
        await asyncio.wait({words}, timeout=LAST_WORDS_S)
        words.cancel()
    return code


async def _keep_words(stream: asyncio.StreamReader, path: Path) -> None:
    log = BoundedLog(path)
    try:
        while chunk := await stream.read(65_536):
            log.write(chunk)
    finally:
        log.close()


def _signal(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number) if group else os.kill(pid, number)
