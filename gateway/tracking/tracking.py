"""The targets' way into the log: one connection a target, one recorder for all, and the shots that are posted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from bus import connection as database
from bus.connection import ACQUIRE_TIMEOUT_S, Pool, is_passing
from bus.outbox import Producer
from bus.tasks import running, set_within, unless
from gateway.problems import JOURNAL_FULL, again_after, invalid
from gateway.tracking import imports, push
from gateway.tracking.address import Address, Source
from gateway.tracking.alarms import Alarm
from gateway.tracking.clock import DatabaseClock
from gateway.tracking.connections import Connection, connect_to
from gateway.tracking.frames import Wrong
from gateway.tracking.hearing import Counts, Hearing, Spot
from gateway.tracking.journal import Entry, Journal, JournalFull
from gateway.tracking.leases import Leases
from gateway.tracking.push import LinesResult, read_line
from gateway.tracking.recorder import UNACCEPTABLE, Recorder
from gateway.tracking.spool import Part, Recorded, Spool
from gateway.tracking.ways import HTTP, LINES, decode

LOOK_EVERY_S: Final = 2.0
DRAIN_S: Final = 1.0
RETRY_AFTER_S: Final = 5

log = structlog.get_logger(__name__)


class Target(Protocol):
    """A lane with an electronic target, as booking shows it."""

    @property
    def lane(self) -> str: ...
    @property
    def discipline(self) -> str: ...
    @property
    def target_address(self) -> str: ...


ListTargets = Callable[[database.Connection], Awaitable[Sequence[Target]]]


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How it stands with one target, as this gateway knows it."""

    lane: str
    device: str
    connected: bool  # by us; another gateway may have it
    counts: Counts
    missing: Sequence[tuple[int, int]] = ()  # numbers, [from, to), of its latest epoch with any
    alarms: Sequence[Alarm] = ()


class Tracking:
    """Follows the targets of all lanes."""

    def __init__(
        self,
        *,
        dsn: str,
        pool: Pool,
        boot: UUID,
        producer: Producer,
        ring: Callable[[], None],
        targets: ListTargets,
        journal: Journal,
        mappings: Path,
    ) -> None:
        self._pool = pool
        self._targets = targets
        self._spool = Spool(journal, decode)
        self._clock = DatabaseClock()
        self._leases = Leases(dsn, "firingline-gateway", boot)
        self.recorder = Recorder(pool, producer, ring, self._spool)
        self._mappings = mappings
        self._tasks: dict[Source, asyncio.Task[None]] = {}
        self._followed: dict[Source, tuple[tuple[Spot, ...], Connection]] = {}
        self._complained: set[tuple[str, str]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows the targets until `stopping` is set; what was kept by then is recorded now, if that is quick."""
        async with running(self.recorder.run(), self._leases.run(), self._clock.keep(self._pool)):
            try:
                while not stopping.is_set():
                    await self._look()
                    await set_within(stopping, LOOK_EVERY_S)
            finally:
                await self._unfollow(set(self._tasks))
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._spool.emptied()
            except TimeoutError:
                log.warning("shots.left", entries=self._spool.journal.undrained, advice="the journal has them")
        await asyncio.to_thread(self._spool.journal.close)

    async def push(self, raw: bytes, device: str, lane: str) -> push.PushResult:
        """Takes what a device posted for its lane, and returns once it is on the disk, or better in the log.

        Raises Problem for what is wrong with it, and while there is no room for it. Posted again, nothing counts twice.
        """
        read = push.read(raw)
        at = self._clock.now()
        live = len(read.shots) == 1
        parts = []
        for frame, wrong, shots in read.parts:
            verdict = "refused" if read.wrong and not wrong else Entry.verdict_of(wrong)
            entry = Entry(device, lane, HTTP, at, frame, live, actor=f"device:{device}", verdict=verdict)
            parts.append(Part(entry, () if read.wrong else shots))
        told = await self._take(parts, device)
        if read.wrong is not None:
            raise push.refused(read.wrong)
        if told is None:
            return push.PushResult(recorded=0, repeated=0, kept=len(read.shots), ignored=read.ignored)
        return push.PushResult(recorded=told.recorded, repeated=told.repeated, ignored=read.ignored)

    async def lines(self, raw: bytes, device: str, lane: str) -> LinesResult:
        """Takes shots in our own form, one a line; each is judged by itself. Raises as `push` does."""
        lines = raw.split(b"\n")
        parts = self._hearing_of(device, lane, f"device:{device}", lines)
        told = await self._take(parts, device)
        shots = sum(len(part.shots) for part in parts)
        wrong = tuple(n for n, line in enumerate(lines, 1) if line.strip() and isinstance(read_line(line), Wrong))
        if told is None:
            return LinesResult(recorded=0, repeated=0, kept=shots, wrong=wrong)
        return LinesResult(recorded=told.recorded, repeated=told.repeated, wrong=wrong)

    def _hearing_of(self, device: str, lane: str, actor: str, lines: Sequence[bytes]) -> list[Part]:
        hearing = Hearing([Spot(device, lane, None, "")], self._clock, self._keep, actor)
        return [part for line in lines for part in hearing.parts(LINES, line, live=len(lines) == 1)]

    async def take_file(self, raw: bytes, form: imports.Form, lane: str, actor: str) -> imports.ImportResult:
        """Takes an export of another program's for a lane. Taken again, nothing counts twice. Raises as `push` does."""
        hearing = imports.FileHearing(form, lane, self._clock, self._keep, actor)
        parts = await asyncio.to_thread(hearing.read, raw)
        told = await self._take(parts, form)
        shots = sum(len(part.shots) for part in parts)
        return imports.ImportResult(
            device=hearing.device,
            epochs=hearing.epochs(parts),
            recorded=told.recorded if told else 0,
            repeated=told.repeated if told else 0,
            kept=0 if told else shots,
            wrong=hearing.wrong,
        )

    async def _take(self, parts: Sequence[Part], device: str) -> Recorded | None:
        try:
            return await self.recorder.take(parts)
        except (JournalFull, OSError) as error:
            log.exception("push.not-kept", device=device)
            raise again_after(JOURNAL_FULL, RETRY_AFTER_S) from error
        except UNACCEPTABLE as error:
            if not isinstance(error, asyncpg.ProgramLimitExceededError):
                raise invalid({"pointer": "#", "detail": "The log does not take such a shot."}) from error
            detail = "These numbers leave too many gaps to be a device's own."
            raise invalid({"pointer": "#/shots", "detail": detail}) from error

    def status(self) -> list[TargetStatus]:
        return [self._status(spot, connection) for spots, connection in self._followed.values() for spot in spots]

    def _status(self, spot: Spot, connection: Connection) -> TargetStatus:
        counts = connection.hearing.counts[spot.device]
        missing = [gaps for (device, _), gaps in self.recorder.missing.items() if device == spot.device]
        alarms = connection.hearing.watches[spot.device].alarms(counts.skew_s, self._clock.now(), missing=bool(missing))
        return TargetStatus(
            spot.lane, spot.device, connection.connected, counts, missing[-1] if missing else (), alarms
        )

    async def _look(self) -> None:
        """Follows lanes that are new, and lets go of those that are gone or whose target stands elsewhere."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                listed = await self._targets(connection)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("targets.not-listed", error=repr(error))
            return
        wanted: dict[Source, list[Spot]] = {}
        for target in listed:
            address = Address.parse(target.target_address, target.lane)
            if address is not None:
                spot = Spot(address.device, target.lane, target.discipline, address.point)
                wanted.setdefault(address.source, []).append(spot)
            elif (target.lane, target.target_address) not in self._complained:
                self._complained.add((target.lane, target.target_address))
                log.error("target.no-address", lane=target.lane, address=target.target_address)
        await self._unfollow({source for source in self._followed if self._is_over(source, wanted.get(source, []))})
        for source in wanted.keys() - self._followed.keys():
            self._follow(source, tuple(wanted[source]))

    def _is_over(self, source: Source, wanted: Sequence[Spot]) -> bool:
        spots, _ = self._followed[source]
        return spots != tuple(wanted) or self._tasks[source].done()  # it failed; it is followed anew

    def _follow(self, source: Source, spots: tuple[Spot, ...]) -> None:
        connection = connect_to(source, Hearing(spots, self._clock, self._keep), self._mappings)
        self._followed[source] = spots, connection
        self._tasks[source] = asyncio.create_task(self._under_lease(spots[0].device, connection))

    async def _unfollow(self, sources: set[Source]) -> None:
        tasks = [self._tasks.pop(source) for source in sources]
        for source in sources:
            del self._followed[source]
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("target.failed", error=repr(ended))

    async def _keep(self, parts: Sequence[Part]) -> None:
        await self._spool.keep_however_long(parts, lambda error: log.error("journal.no-room", error=repr(error)))

    async def _under_lease(self, device: str, connection: Connection) -> None:
        """Reads a source for as long as the lease for it is ours."""
        while True:
            async with self._leases.holding(f"target:{device}") as held:
                await unless(held.lost, connection.run())
