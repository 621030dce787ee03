"""Runs the process that makes a report, within its bounds, and understands how it ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from pydantic import ValidationError

from handlers.stats.events import LARGEST_REPORT_BYTES
from handlers.stats.reports.limits import AWAY, OUT_OF_MEMORY, REFUSED, WITHIN_S
from handlers.stats.reports.order import Task, Unmakeable, Word

MODULE: Final = "handlers.stats.reports.child"
OVERTIME_S: Final = 5.0  # the process ends itself first
LONGEST_LINE_BYTES: Final = 64 * 1024
LAST_WORDS: Final = 4_000
HANDED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
TOO_LONG: Final = f"It took longer than the {WITHIN_S} seconds that a report may take: order a shorter time."
TOO_LARGE: Final = (
    f"It is larger than the {LARGEST_REPORT_BYTES >> 20} MiB that a report may have: order a shorter time."
)
TOO_MUCH_MEMORY: Final = "It needs more memory than a report may take: order a shorter time."
FAULT: Final = "It failed because of a fault on our side, which has been noted; try it once more."

Tell = Callable[[Word], Awaitable[None]]
log = structlog.get_logger(__name__)


class Away(Exception):  # noqa: N818 - a passing state
    """The database was away while the report was made; it is made again."""


async def make_in_a_process(task: Task, tell: Tell) -> bytes:
    """The file of a report. Raises Unmakeable with the reason, or Away."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
        env={**{name: os.environ[name] for name in HANDED_ON if name in os.environ}, **ONE_THREAD},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    reading = (
        asyncio.create_task(_content(process.stdout)),
        asyncio.create_task(_words(process.stderr, tell)),
    )
    try:
        async with asyncio.timeout(WITHIN_S + OVERTIME_S):
            with suppress(ConnectionError):
                process.stdin.write(task.model_dump_json().encode())
                await process.stdin.drain()
            process.stdin.close()
            content, (refusal, words) = await asyncio.gather(*reading)
            code = await process.wait()
    except TimeoutError:
        raise Unmakeable(TOO_LONG) from None
    finally:
        for one in reading:
            one.cancel()
        await asyncio.wait(reading)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()  # reads on what is left in the pipes: it has not ended before they are empty
    if code == 0:
        return content
    if code == AWAY:
        raise Away
    reason = _reason(code, refusal, words)
    log.warning("report.process-ended", report=str(task.order.report), code=code, reason=reason, words=words)
    raise Unmakeable(reason)


async def _content(stdout: asyncio.StreamReader) -> bytes:
    parts = bytearray()
    while part := await stdout.read(LONGEST_LINE_BYTES):
        parts += part
        if len(parts) > LARGEST_REPORT_BYTES:
            raise Unmakeable(TOO_LARGE)
    return bytes(parts)


async def _words(stderr: asyncio.StreamReader, tell: Tell) -> tuple[str, str]:
    """Passes on how far it is; returns why it refused, if it did, and the end of what else it said."""
    refusal, others = "", ""
    while line := await stderr.readline():
        try:
            word = Word.model_validate_json(line)
        except ValidationError:
            others = (others + line.decode(errors="replace"))[-LAST_WORDS:]
            continue
        if word.stage == "refused":
            refusal = word.reason
        else:
            await tell(word)
    return refusal, others


def _reason(code: int, refusal: str, words: str) -> str:
    if code == REFUSED and refusal:
        return refusal
    if code == OUT_OF_MEMORY or "memory allocation" in words:
        return TOO_MUCH_MEMORY
    if -code in {signal.SIGALRM, signal.SIGXCPU}:
        return TOO_LONG
    return FAULT
