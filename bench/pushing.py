"""The gateway's side of `firingline bench shots`: tracking in a process of its own, and the COPY that it is beside."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from bench.child import Answer, serve
from bench.ground import registered
from bus.clock import now
from bus.connection import Connection, close_pool, connect_pool
from bus.identity import uuid7
from gateway.tracking.journal import Journal
from gateway.tracking.tracking import Tracking
from handlers.stats.events import ShotRecorded
from ops.settings import Settings

LOOK_EVERY_S: Final = 0.005
UNDER_WAY: Final = 1  # posts of a device that are not answered yet
COLUMNS: Final = (
    "topic", "partition", "schema", "producer", "id", "correlation", "revision", "at", "name", "stream", "actor",
    "body",
)  # fmt: skip


async def pushing(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Pushes or copies for a time, and says how many shots that were and how long it took."""
    side = _push if asked["side"] == "push" else _copy
    shots, seconds = await side(settings, asked)
    say({"shots": shots, "seconds": seconds})


async def _push(settings: Settings, asked: Answer) -> tuple[int, float]:
    async with _tracking(settings) as tracking:
        ends_s = time.perf_counter() + asked["seconds"]
        began_s = time.perf_counter()
        senders = [
            _send(tracking, f"r{asked['round']}-{under_way}", device, asked["batch"], ends_s)
            for device in range(asked["devices"])
            for under_way in range(UNDER_WAY)
        ]
        sent = sum(await asyncio.gather(*senders))
        while tracking.recorder.recorded < sent:  # noqa: ASYNC110 - what was only kept is on its way
            await asyncio.sleep(LOOK_EVERY_S)
        return sent, time.perf_counter() - began_s


async def _send(tracking: Tracking, epoch: str, device: int, together: int, ends_s: float) -> int:
    """Posts one batch after the other, each when the last is answered."""
    first = 1
    while first == 1 or time.perf_counter() < ends_s:
        told = await tracking.push(_body(epoch, first, together), f"target-{device}", f"lane-{device}")
        assert told.recorded + told.kept == together, f"all are new, and taken: {told}"
        first += together
    return first - 1


def _body(epoch: str, first: int, together: int) -> bytes:
    shots = [
        {"epoch": epoch, "number": n, "x_um": n % 20_011 - 10_000, "y_um": n % 19_001 - 9_500, "elapsed_ms": n * 500}
        for n in range(first, first + together)
    ]
    return json.dumps({"shots": shots}).encode()


@asynccontextmanager
async def _tracking(settings: Settings) -> AsyncIterator[Tracking]:
    async def nowhere(_: Connection) -> Sequence[Any]:
        return []

    pool = await connect_pool(settings.dsn("gateway"), "bench/pushing", most=4)
    folder, stopping = settings.home / "tracking", asyncio.Event()
    async with registered(settings, "gateway", [ShotRecorded.name]) as producer:
        tracking = Tracking(
            dsn=settings.dsn("gateway"), pool=pool, boot=uuid7(), producer=producer, ring=lambda: None, targets=nowhere,
            journal=Journal(folder / "frames", folder / "journal.key"), mappings=folder / "mappings",
        )  # fmt: skip
        task = asyncio.create_task(tracking.run(stopping))
        try:
            yield tracking
        finally:
            stopping.set()
            await task
            await close_pool(pool)


async def _copy(settings: Settings, asked: Answer) -> tuple[int, float]:
    """The rows that the same posts come to, copied as many at a time by as many connections as tracking takes."""
    pool = await connect_pool(settings.dsn("gateway"), "bench/copy", most=1)
    async with registered(settings, "gateway", [ShotRecorded.name]) as producer, pool.acquire() as connection:
        shots, began_s = 0, time.perf_counter()
        while not shots or time.perf_counter() - began_s < asked["seconds"]:
            rows = _rows(producer.id, asked, shots + 1)
            await connection.copy_records_to_table("log", schema_name="plain", columns=COLUMNS, records=rows)
            shots += len(rows)
        seconds = time.perf_counter() - began_s
    await close_pool(pool)
    return shots, seconds


def _rows(producer: int, asked: Answer, first: int) -> list[tuple[object, ...]]:
    at = now()
    body = ShotRecorded(
        device="target-1", epoch=f"r{asked['round']}", number=first, lane="lane-1", kind="match", miss=False,
        x_um=1234, y_um=-4321, elapsed_ms=first * 500, received_at=at, face=None, raw_sha256="0" * 64,
    ).model_dump_json()  # fmt: skip
    return [
        (
            "telemetry",
            7,
            1,
            producer,
            uuid7(),
            uuid7(),
            n,
            at,
            ShotRecorded.name,
            "target:target-1",
            "device:target-1",
            body,
        )
        for n in range(first, first + 1000)
    ]


if __name__ == "__main__":
    serve("bench-pushing", pushing)
