"""Brings shots into the log: each under the one identity it has, in batches, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from bus.backoff import full_jitter
from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing
from bus.outbox import Producer
from bus.shots import record_shots
from gateway.tracking.epoch_store import hold_lanes, remember, write_down
from gateway.tracking.epochs import fired_at, set_clock
from gateway.tracking.shots import Sighted
from handlers.stats.events import ShotRecorded

TOGETHER: Final = 1000
WAITING: Final = 5000  # shots that may wait; then their targets are read no further
RETRY_LONGEST_S: Final = 2.0
BY_CONNECTION: Final = "service:gateway"  # on whose authority what we read ourselves is told
UNACCEPTABLE: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What the database says of a shot that it will never take; everything else passes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """A shot on its way into the log. `live` means just fired, and not possibly repeated from a target's store."""

    device: str
    lane: str
    shot: Sighted
    received_at: datetime | None  # by the database's clock; None: when it is recorded
    live: bool
    face: str | None = None  # of the lane, where the target does not say


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many shots of a batch are new in the log, and how many were there already."""

    recorded: int
    repeated: int


class Recorder:
    """One queue for what the targets' connections hear; `record` is for who waits for the answer."""

    def __init__(self, pool: Pool, producer: Producer, ring: Callable[[], None]) -> None:
        self._pool = pool
        self._producer = producer
        self._ring = ring
        self._waiting: list[Heard] = []
        self._came = asyncio.Event()
        self._room = asyncio.Condition()
        self.recorded = 0
        self.repeated = 0
        self.refused = 0

    async def put(self, heard: Sequence[Heard]) -> None:
        """Takes shots to be recorded soon; waits while too many wait already."""
        async with self._room:
            await self._room.wait_for(lambda: len(self._waiting) < WAITING)
            self._waiting += heard
            self._came.set()

    async def run(self) -> None:
        """Records what comes, until cancelled. While the database is away, shots wait and keep their order."""
        while True:
            await self._came.wait()
            while self._waiting:
                await self._record_next()
            self._came.clear()

    async def drained(self) -> None:
        """Waits until nothing waits."""
        async with self._room:
            await self._room.wait_for(lambda: not self._waiting)

    async def record(self, heard: Sequence[Heard], actor: str) -> Recorded:
        """Records a batch in one transaction. A second time with the same shots changes nothing."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            told = await _record(connection, self._producer.id, heard, actor)
        self.recorded += told.recorded
        self.repeated += told.repeated
        if told.recorded:
            self._ring()
        return told

    async def _record_next(self) -> None:
        batch = self._waiting[:TOGETHER]
        failures = 0
        while True:
            try:
                await self.record(batch, BY_CONNECTION)
            except UNACCEPTABLE:
                if len(batch) > 1:
                    batch = batch[: len(batch) // 2]  # its neighbours are not to blame
                    continue
                self.refused += 1
                log.exception("shot.refused", device=batch[0].device, raw=batch[0].shot.raw_sha256)
            except Exception as error:
                if not (is_passing(error) or isinstance(error, asyncpg.PostgresError)):
                    raise
                failures += 1
                wait_s = full_jitter(failures, longest_s=RETRY_LONGEST_S)
                log.warning("shots.wait", waiting=len(self._waiting), error=repr(error), wait_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
                continue
            break
        async with self._room:
            del self._waiting[: len(batch)]
            self._room.notify_all()


async def _record(connection: Connection, producer: int, heard: Sequence[Heard], actor: str) -> Recorded:
    lanes = sorted({one.lane for one in heard})
    await hold_lanes(connection, lanes)
    memories = await remember(connection, lanes, sorted({one.shot.number for one in heard}))
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    known = []
    for one in heard:
        epoch, identity = memories[one.lane].identify(one.device, one.shot)
        received_at = one.received_at or now
        set_clock(epoch, one.shot, received_at, live=one.live)
        known.append((one, epoch, identity, received_at))
    shots = [
        ShotRecorded(
            device=identity.device,
            epoch=identity.epoch,
            number=identity.number,
            lane=one.lane,
            kind=one.shot.kind,
            miss=one.shot.miss,
            x_um=one.shot.x_um,
            y_um=one.shot.y_um,
            elapsed_ms=one.shot.elapsed_ms,
            received_at=fired_at(epoch, one.shot, received_at, live=one.live),
            face=one.shot.face or one.face,
            raw_sha256=one.shot.raw_sha256,
        )
        for one, epoch, identity, received_at in known
    ]
    await write_down(connection, memories)
    told = await record_shots(connection, producer, shots, actor)
    return Recorded(sum(one.recorded for one in told), sum(one.repeated for one in told))
