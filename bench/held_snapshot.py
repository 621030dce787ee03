"""What a snapshot that is held open costs who works meanwhile, and what it leaves behind in the bus's tables."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Final

from bench.child import Child, child
from bench.consume import load_shots
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database
from ops.settings import Settings

MILLION: Final = 1_000_000


async def held_snapshot(server: Settings, size: Size, tell: Tell) -> Measured:
    """Events through one consumer with a snapshot open that is older than all of it, beside the same without one."""
    tell("making a database", 0, 1)
    dead: list[float] = []
    async with database(server, "held") as log, child("bench.consuming", log) as process:
        await load_shots(log, size.events, tell)
        ours, baseline = await in_turns(
            size.rounds, partial(_held, log, process, size, dead), partial(_free, process, size), tell
        )
    details = {"events": size.events, "seconds": size.seconds, "dead_tuples_per_million": round(median(dead))}
    return Measured(ours, baseline, details)


async def _held(log: Settings, process: Child, size: Size, dead: list[float], number: int) -> float:
    async with connected(log.admin_url) as holder, holder.transaction(isolation="repeatable_read", readonly=True):
        await holder.fetchval("SELECT max(position) FROM bus.outbox")  # from here on it has its snapshot
        before = await _dead_tuples(log)
        events, rate = await _consume(process, size, 2 * number)
        dead.append((await _dead_tuples(log) - before) * MILLION / events)
    return rate


async def _free(process: Child, size: Size, number: int) -> float:
    _, rate = await _consume(process, size, 2 * number + 1)
    return rate


async def _consume(process: Child, size: Size, number: int) -> tuple[int, float]:
    """Passes over the log, each by a consumer of its own, until the time is over; events, and how many a second."""
    passes, spent_s = 0, 0.0
    while not passes or spent_s < size.seconds:
        process.ask(side="worker", round=f"{number}-{passes}", events=size.events)
        spent_s += float((await process.answer())["seconds"])
        passes += 1
    return passes * size.events, passes * size.events / spent_s


async def _dead_tuples(log: Settings) -> int:
    """What the statistics know of; whoever wrote has told them by the end of its connection."""
    async with connected(log.admin_url) as admin:
        dead: int = await admin.fetchval(
            "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'bus'"
        )
        return dead
