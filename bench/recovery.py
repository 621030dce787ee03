"""How soon after PostgreSQL is back every consumer is at work again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.figures import Measured, Size, Tell
from bench.ground import connected
from bench.range_at_work import Readiness, at_work, program
from bus.errors import Refusal
from ops.credentials import load_or_make, superuser_password
from ops.migrate import bring_up_to_date
from ops.postgres import Cluster
from ops.services import SERVICES
from ops.settings import Settings

LOOK_EVERY_S: Final = 0.005
WITHIN_S: Final = 60.0


async def recovery(server: Settings, size: Size, tell: Tell) -> Measured:
    """Five workers lose their server, which is stopped and started again; beside how long it takes to be back."""
    programs = [program("gateway", "gateway"), *(program(name, "worker", name) for name in SERVICES)]
    ours, baseline = [], []
    with TemporaryDirectory(prefix="recovery-", dir=server.home) as place:
        folder = Path(place)
        password = superuser_password(folder)
        with Cluster(folder / "postgres", password=password, run_as=server.postgres_user) as cluster:
            log = replace(server, home=folder, database_url=cluster.url())
            tell("starting a range", 0, 1)
            await bring_up_to_date(log.admin_url, load_or_make(folder))
            async with at_work(log, programs, _is_ready):
                for number in range(size.rounds):
                    tell(f"round {number + 1} of {size.rounds}", number, size.rounds)
                    await asyncio.to_thread(cluster.stop)
                    began_s = time.perf_counter()
                    await asyncio.to_thread(cluster.start)
                    baseline.append(time.perf_counter() - began_s)
                    ours.append(await _all_at_work_s(log))
    return Measured(ours, baseline)


async def _all_at_work_s(log: Settings) -> float:
    """Seconds until living workers hold all partitions of all consumers."""
    began_s = time.perf_counter()
    async with connected(log.admin_url) as admin:
        while not await admin.fetchval("SELECT bool_and(bus.at_work(s)) FROM unnest($1::text[]) AS s", list(SERVICES)):
            if time.perf_counter() - began_s > WITHIN_S:
                raise Refusal(f"Not all consumers were at work within {WITHIN_S:.0f} s of the server's return.")
            await asyncio.sleep(LOOK_EVERY_S)
    return time.perf_counter() - began_s


def _is_ready(readiness: Readiness) -> bool:
    return bool(readiness["ready"])
