"""How fast the log is replayed to a file, beside COPY of the same columns to one."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.consume import load_shots
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database
from bus.errors import Refusal
from bus.reading import MESSAGE_COLUMNS
from ops.settings import VARIABLES, Settings


async def replaying(server: Settings, size: Size, tell: Tell) -> Measured:
    """`firingline replay --output`, from its start to its end, beside COPY as CSV on one connection."""
    tell("making a database", 0, 1)
    async with database(server, "replay") as log:
        await load_shots(log, size.events, tell)
        with tempfile.TemporaryDirectory(dir=log.home) as folder:
            file = Path(folder) / "log"
            ours, baseline = await in_turns(
                size.rounds,
                partial(_replay, log, file, size.events),
                partial(_copy_out, log, file, size.events),
                tell,
            )
    return Measured(ours, baseline, {"events": size.events})


async def _replay(log: Settings, file: Path, events: int, _number: int) -> float:
    place = {VARIABLES["home"]: str(log.home), VARIABLES["database_url"]: log.admin_url}
    began_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "replay", "--output", str(file)), env={**os.environ, **place}
    )
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    took_s = time.perf_counter() - began_s
    lines = await asyncio.to_thread(_lines, file)
    if code != 0 or lines != events:
        raise Refusal(f"The replay ended with {code} and {lines} lines instead of {events}.")
    return events / took_s


async def _copy_out(log: Settings, file: Path, events: int, _number: int) -> float:
    async with connected(log.dsn("analyst")) as connection:
        began_s = time.perf_counter()
        await connection.copy_from_query(
            f"SELECT {MESSAGE_COLUMNS} FROM bus.outbox ORDER BY position",  # noqa: S608 - a constant of the bus
            output=file,
            format="csv",
            timeout=None,
        )
        return events / (time.perf_counter() - began_s)


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)
