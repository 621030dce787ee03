"""pgqueuer's process in the bench, set up as its performance guide has it.

All tables logged, its settings for autovacuum applied, one asyncpg connection a queue manager, five managers to the
process as in its own benchmark, batches larger than the default because the jobs are short.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.types import QueueExecutionMode
from pgqueuer.queries import Queries

from bench.child import Answer, serve
from bench.hearing import Notes
from bench.real_work import KEPT, keep
from bus.connection import Connection, Pool, close_pool, connect_pool
from bus.worker import own_connection
from handlers.stats.events import ShotRecorded
from ops.settings import Settings

MANAGERS: Final = 5
BATCH: Final = 100
POOL: Final = 20
FILL: Final = 5_000
NOTHING: Final = "nothing"
REAL: Final = "real"
NOTE: Final = "note"


async def queueing(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Does what a peer is asked for: `install`, `fill`, `drain` or `hear`."""
    match asked["do"]:
        case "install":
            await _install(settings)
            say({"installed": True})
        case "fill":
            await _fill(settings, asked["kind"], [body.encode() for body in asked["bodies"]])
            say({"filled": len(asked["bodies"])})
        case "drain":
            say({"seconds": await _drain(settings, asked["kind"], asked["jobs"])})
        case "hear":
            await _hear(settings, asked["stretch"], say)
        case other:
            raise AssertionError(other)


async def enqueue(connection: Connection, kind: str, bodies: Sequence[bytes]) -> None:
    """Jobs, on this connection and in its transaction."""
    queries = Queries(AsyncpgDriver(connection))
    await queries.enqueue([kind] * len(bodies), list(bodies), [0] * len(bodies))


async def _install(settings: Settings) -> None:
    async with own_connection(settings.admin_url, "bench/pgqueuer") as connection:
        queries = Queries(AsyncpgDriver(connection))
        await queries.install()
        await queries.optimize_autovacuum()


async def _fill(settings: Settings, kind: str, bodies: Sequence[bytes]) -> None:
    async with own_connection(settings.admin_url, "bench/pgqueuer") as connection:
        await Queries(AsyncpgDriver(connection)).clear_queue()  # of what was said in an earlier round
        for first in range(0, len(bodies), FILL):
            await enqueue(connection, kind, bodies[first : first + FILL])


async def _drain(settings: Settings, kind: str, jobs: int) -> float:
    """From the first look at the queue until the last job is handled."""
    pool = await connect_pool(settings.admin_url, "bench/pgqueuer", most=POOL)
    handled, all_handled = 0, asyncio.Event()

    async def nothing(_job: Any) -> None:
        count()

    async def real(job: Any) -> None:
        await _keep_in_a_transaction(pool, job.payload)
        count()

    def count() -> None:
        nonlocal handled
        handled += 1
        if handled == jobs:
            all_handled.set()

    try:
        async with _managers(settings, kind, real if kind == REAL else nothing) as managers:
            began_s = time.perf_counter()
            runs = [asyncio.ensure_future(one.run(batch_size=BATCH, mode=QueueExecutionMode.drain)) for one in managers]
            await all_handled.wait()
            took_s = time.perf_counter() - began_s
            await asyncio.gather(*runs)
            return took_s
    finally:
        await close_pool(pool)


async def _keep_in_a_transaction(pool: Pool, body: bytes) -> None:
    """What the service beside it does: a row and an event for each shot, together or not at all."""
    shot = ShotRecorded.model_validate_json(body)
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, shot)
        await enqueue(connection, KEPT, [body])


async def _hear(settings: Settings, stretch: str, say: Callable[[Answer], None]) -> None:
    notes = Notes(stretch, say)

    async def note(job: Any) -> None:
        notes.take_body(job.payload)

    async with _managers(settings, NOTE, note) as managers:
        runs = [asyncio.ensure_future(one.run(batch_size=BATCH)) for one in managers]
        await notes.ended.wait()
        for one in managers:
            one.shutdown.set()
        await asyncio.gather(*runs)
    notes.tell()


@asynccontextmanager
async def _managers(
    settings: Settings, kind: str, handle: Callable[[Any], Awaitable[None]]
) -> AsyncIterator[list[PgQueuer]]:
    async with AsyncExitStack() as stack:
        managers = []
        for _ in range(MANAGERS):
            connection = await stack.enter_async_context(own_connection(settings.admin_url, "bench/pgqueuer"))
            manager = PgQueuer(AsyncpgDriver(connection))
            manager.entrypoint(kind)(handle)
            managers.append(manager)
        yield managers


if __name__ == "__main__":
    serve("bench-queueing", queueing)
