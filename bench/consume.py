"""How fast one worker process goes through the log, beside a plain fetch of the same rows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from bench.child import Child, child
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database, registered
from bus.shots import record_shots
from handlers.stats.events import ShotRecorded
from ops.settings import Settings

LOADERS: Final = 4
TOGETHER: Final = 1_000
BEGAN_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def consume(server: Settings, size: Size, tell: Tell) -> Measured:
    """Shots, which outnumber everything else in the log, through a consumer whose handler does nothing."""
    tell("making a database", 0, 1)
    async with database(server, "consume") as log:
        await _load(log, size.events, tell)
        async with child("bench.consuming", log) as process:
            ours, baseline = await in_turns(
                size.rounds,
                partial(_rate, process, "worker", size.events),
                partial(_rate, process, "fetch", size.events),
                tell,
            )
    return Measured(ours, baseline, {"events": size.events, "batch": TOGETHER})


async def _rate(process: Child, side: str, events: int, number: int) -> float:
    process.ask(side=side, round=number, events=events)
    answer = await process.answer()
    return events / float(answer["seconds"])


async def _load(log: Settings, events: int, tell: Tell) -> None:
    """Fills the log as the targets of a long day would, each loader with a target of its own."""
    loaded = 0

    async def load(number: int) -> None:
        nonlocal loaded
        async with connected(log.dsn("gateway")) as connection:
            for first in range(1 + number * TOGETHER, events + 1, LOADERS * TOGETHER):
                shots = [_shot(number, one) for one in range(first, min(first + TOGETHER, events + 1))]
                await record_shots(connection, producer.id, shots, [f"device:target-{number}"] * len(shots))
                loaded += len(shots)
                tell("filling the log", loaded, events)

    async with registered(log, "gateway", [ShotRecorded.name]) as producer:
        await asyncio.gather(*map(load, range(LOADERS)))
    async with connected(log.admin_url) as admin:
        await admin.execute("VACUUM (ANALYZE) bus.outbox")


def _shot(target: int, number: int) -> ShotRecorded:
    return ShotRecorded(
        device=f"target-{target}",
        epoch="a-long-day",
        number=number,
        lane=f"lane-{target}",
        kind="match",
        miss=False,
        x_um=number * 7919 % 60_000 - 30_000,
        y_um=number * 104_729 % 60_000 - 30_000,
        elapsed_ms=number * 1_000,
        received_at=BEGAN_AT + timedelta(milliseconds=number),
        face="air-pistol-10m",
        raw_sha256=f"{number:064x}",
    )
