"""What a figure was seen on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from bus.connection import Connection

COMMITS: Final = 50
MEMORY_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})


async def machine(connection: Connection) -> dict[str, Any]:
    """This machine and the server, with the time that one small durable commit takes there, alone."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": await connection.fetchval("SHOW server_version"),
        "commit_ms": round(await _commit_ms(connection), 2),
        "commit_delay_ms": await connection.fetchval("SELECT current_setting('commit_delay')::integer / 1000.0::float"),
        "load": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on."""
    mounted = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    place = folder.resolve()
    return next((mounted[path] for path in (place, *place.parents) if path in mounted), "unknown")


def in_memory(folder: Path) -> bool:
    return file_system(folder) in MEMORY_FILE_SYSTEMS


async def _commit_ms(connection: Connection) -> float:
    taken = []
    for _ in range(COMMITS):
        async with connection.transaction():
            await connection.execute("SELECT pg_logical_emit_message(true, 'bench', 'x')")  # a little WAL, and no more
            began_s = time.perf_counter()
        taken.append(time.perf_counter() - began_s)
    return median(taken) * 1000


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
