"""Runs `pgbench`, the load generator that comes with PostgreSQL, with a script of our own."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Final
from urllib.parse import unquote, urlsplit

from bench.machine import cores
from bus.errors import Refusal
from ops.unprivileged import INSTALLED, PROGRAMS

CLIENTS: Final = 64
PER_CLIENT_AND_SECOND: Final = 100  # how many transactions stand for a stretch too short for pgbench to time
WARM_UP_S: Final = 1
PROGRESS: Final = re.compile(r"^progress: [0-9.]+ s, ([0-9.]+) tps", re.MULTILINE)
RATE: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
FAILED: Final = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


async def transactions_per_second(
    dsn: str, script: str, seconds: float, variables: Mapping[str, int], *, clients: int = CLIENTS
) -> float:
    """How many transactions a second the script commits, each client sending its next when the last has answered.

    The first second is not counted: in it every connection plans its statements, which long-lived ones have done.
    """
    url = urlsplit(dsn)
    length = ["--time", str(WARM_UP_S + round(seconds)), "--progress=1"]
    if seconds < 1:
        length = ["--transactions", str(max(1, int(seconds * PER_CLIENT_AND_SECOND)))]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            str(INSTALLED / PROGRAMS / "pgbench"),
            *("--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, cores())}"),
            *(f"--define={name}={number}" for name, number in variables.items()),
            *(*length, f"--file={file.name}"),
            env={**os.environ, **_environment(url.hostname, url.port, url.username, url.password, Path(url.path).name)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complained = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    rate, failed = RATE.search(said.decode()), FAILED.search(said.decode())
    if process.returncode != 0 or rate is None or (failed is not None and failed[1] != "0"):
        raise Refusal(f"pgbench did not get through its script: {complained.decode().strip().splitlines()[-1:]}")
    steady = [float(each) for each in PROGRESS.findall(complained.decode())][WARM_UP_S:]
    return mean(steady) if steady else float(rate[1])


def _environment(
    host: str | None, port: int | None, user: str | None, password: str | None, database: str
) -> dict[str, str]:
    named = {
        "PGHOST": host,
        "PGPORT": str(port or 5432),
        "PGUSER": user,
        "PGPASSWORD": password,
        "PGDATABASE": database,
    }
    return {name: unquote(text) for name, text in named.items() if text}
