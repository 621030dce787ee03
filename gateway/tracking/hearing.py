"""What a connection does with a frame: reads it, finds whose lane it is for, and has it kept."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from gateway.tracking.alarms import Watch
from gateway.tracking.clock import DatabaseClock
from gateway.tracking.frames import Found, Wrong
from gateway.tracking.journal import Entry
from gateway.tracking.shots import Sighted, understand
from gateway.tracking.spool import Part
from gateway.tracking.ways import TCP, WAYS

COMPLAIN_EVERY_S: Final = 10.0

log = structlog.get_logger(__name__)

Keep = Callable[[Sequence[Part]], Awaitable[None]]


class Spot(NamedTuple):
    """A lane with a target: `point` is its maker's own name for it."""

    device: str
    lane: str
    face: str | None
    point: str


@dataclass(slots=True)
class Counts:
    """What came of a target since we started. `skew_s` is how far its clock is ahead of the database's."""

    connections: int = 0
    bytes: int = 0
    shots: int = 0
    wrong: int = 0
    heard_at: datetime | None = None
    skew_s: float | None = None


@dataclass(slots=True)
class Complaints:
    """Wrong frames are logged, and a target that sends nothing else cannot fill the log."""

    device: str
    _silent_until: float = field(default=0.0)
    _kept_back: int = field(default=0)

    def wrong(self, frame: Wrong) -> None:
        if time.monotonic() < self._silent_until:
            self._kept_back += 1
            return
        log.warning("frame.wrong", device=self.device, reason=frame.reason, bytes=len(frame.raw), more=self._kept_back)
        self._silent_until, self._kept_back = time.monotonic() + COMPLAIN_EVERY_S, 0


class Hearing:
    """The lanes that one connection serves."""

    def __init__(self, spots: Sequence[Spot], clock: DatabaseClock, keep: Keep, actor: str = "service:gateway") -> None:
        self._spots = {spot.point: spot for spot in spots}
        self._first = spots[0]
        self._clock = clock
        self._keep = keep
        self._complaints = {spot.device: Complaints(spot.device) for spot in spots}
        self._actor = actor
        self.counts = {spot.device: Counts() for spot in spots}
        self.watches = {spot.device: Watch() for spot in spots}
        self.elsewhere = 0  # shots at points that no lane of ours has

    @property
    def name(self) -> str:
        """What tells this connection from others."""
        return self._first.device

    def connected(self) -> None:
        for counts in self.counts.values():
            counts.connections += 1

    async def heard(self, way: str, raw: bytes, context: str = "", *, live: bool = True) -> None:
        """Keeps a frame for the lanes that it tells of; returns once it is on the disk."""
        await self.keep(self.parts(way, raw, context, live=live))

    async def heard_frame(self, found: Found) -> None:
        """The same for what the scanner of a freeTarget's words found."""
        if (part := self.part_of(found, live=True)) is not None:
            await self._keep([part])

    async def keep(self, parts: Sequence[Part]) -> None:
        """Returns once these are on the disk."""
        if parts:
            await self._keep(parts)

    def part_of(self, found: Found, *, live: bool) -> Part | None:
        """A freeTarget's frame as it is to be kept; None for one that tells of no shot."""
        told = understand(found)
        if told is None:
            return None
        return self._part(self._first, TCP, found.raw, "", self._clock.now(), [told], live=live)

    def parts(self, way: str, raw: bytes, context: str = "", *, live: bool = True) -> list[Part]:
        """A frame as it is to be kept, once for each lane that it tells of."""
        at = self._clock.now()
        by_spot: defaultdict[Spot, list[Sighted | Wrong]] = defaultdict(list)
        for point, told in WAYS[way](raw, context):
            spot = self._spots.get(point) or (self._first if isinstance(told, Wrong) else None)
            if spot is None:
                self.elsewhere += 1
            else:
                by_spot[spot].append(told)
        return [self._part(spot, way, raw, context, at, told, live=live) for spot, told in by_spot.items()]

    def _part(
        self, spot: Spot, way: str, raw: bytes, context: str, at: datetime | None, told: Sequence[Sighted | Wrong], *,
        live: bool,
    ) -> Part:  # fmt: skip
        counts = self.counts[spot.device]
        shots = [one for one in told if isinstance(one, Sighted)]
        wrong = [one for one in told if isinstance(one, Wrong)]
        counts.bytes += len(raw)
        counts.shots += len(shots)
        counts.wrong += len(wrong)
        counts.heard_at = at
        for one in wrong:
            self._complaints[spot.device].wrong(one)
        if live and at is not None and shots and shots[-1].fired_at is not None:
            counts.skew_s = (shots[-1].fired_at - at).total_seconds()
        if live:
            self.watches[spot.device].look(shots, at)
        verdict = "shot" if shots or not wrong else Entry.verdict_of(wrong[0])
        source = f"{spot.point}/{context}"
        entry = Entry(spot.device, spot.lane, way, at, raw, live, spot.face, self._actor, source, verdict)
        return Part(entry, shots)
