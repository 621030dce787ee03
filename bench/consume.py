"""How fast one worker process goes through the log: with nothing to do, and with a row and an event a message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from bench.append import PLAIN_LOG
from bench.child import Child, child
from bench.figures import Measured, Size, Tell
from bench.ground import connected, database, registered
from bench.peers import GRAPHILE_WORKER, PGQUEUER, beside_peers, drained, peers
from bench.real_work import KEPT_TABLE
from bus.shots import record_shots
from handlers.stats.events import ShotRecorded
from ops.settings import Settings

LOADERS: Final = 4
LEAST: Final = 100
PEER_SHARE: Final = 10  # a queue of jobs is so much slower that fewer of them tell as much
REAL_SHARE: Final = 10
REAL_PEER_SHARE: Final = 60
TOGETHER: Final = 1_000
BEGAN_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def consume(server: Settings, size: Size, tell: Tell) -> Measured:
    """Shots, which outnumber everything else in the log, through a consumer whose handler does nothing."""
    jobs = max(LEAST, size.events // PEER_SHARE)
    tell("making a database", 0, 1)
    async with (
        database(server, "consume") as log,
        child("bench.consuming", log) as process,
        peers(log, [PGQUEUER, GRAPHILE_WORKER]) as others,
    ):
        await load_shots(log, size.events, tell)
        sides = [partial(_rate, process, side, size.events) for side in ("worker", "fetch")]
        theirs = partial(drained, log, "nothing", _bodies(jobs))
        details = {"events": size.events, "batch": TOGETHER, "beside_jobs": jobs}
        return await beside_peers(sides, others, theirs, size.rounds, tell, details)


async def consume_real(server: Settings, size: Size, tell: Tell) -> Measured:
    """Shots through a consumer that keeps each in a row and tells of it, beside the same statements alone."""
    events, jobs = max(LEAST, size.events // REAL_SHARE), max(LEAST, size.events // REAL_PEER_SHARE)
    tell("making a database", 0, 1)
    async with database(server, "real") as log:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
            await admin.execute(KEPT_TABLE)
        async with child("bench.consuming", log) as process, peers(log, [PGQUEUER]) as others:
            await load_shots(log, events, tell)
            sides = [partial(_real_rate, log, process, side, events) for side in ("keeper", "statements")]
            theirs = partial(_real_drained, log, _bodies(jobs))
            details = {"events": events, "batch": TOGETHER, "beside_jobs": jobs}
            return await beside_peers(sides, others, theirs, size.rounds, tell, details)


async def _real_rate(log: Settings, process: Child, side: str, events: int, number: int) -> float:
    await _forget_kept(log)
    return await _rate(process, side, events, number)


async def _real_drained(log: Settings, bodies: Sequence[str], process: Child, number: int) -> float:
    await _forget_kept(log)
    return await drained(log, "real", bodies, process, number)


async def _forget_kept(log: Settings) -> None:
    async with connected(log.admin_url) as admin:
        await admin.execute("TRUNCATE kept.shot, plain.log")


def _bodies(jobs: int) -> list[str]:
    return [_shot(0, number).model_dump_json() for number in range(1, jobs + 1)]


async def _rate(process: Child, side: str, events: int, number: int) -> float:
    process.ask(side=side, round=number, events=events)
    answer = await process.answer()
    return events / float(answer["seconds"])


async def load_shots(log: Settings, events: int, tell: Tell) -> None:
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
