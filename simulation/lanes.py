"""A lane on a range day: its target, and whose turn it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Final

from ops.api import Json
from simulation.client import Client, NotPlayed
from simulation.history import History, Sent
from simulation.shot_files import Shot
from simulation.target import Manners, Target

PAUSE_S: Final = (0.08, 0.25)  # from shot to shot
SIGHTERS: Final = 3
MISSES: Final = 0.06
DOUBLED_COMMAS: Final = 0.1
SPREAD_MM: Final = 14.0
CONNECTED_WITHIN_S: Final = 20.0
CENT_MM: Final = Decimal("0.01")

Visit = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Claim:
    """A time on the lane that somebody asks for or has. Without a visit it is not known yet whether he comes."""

    starts_at: datetime
    visit: Visit | None = None


@dataclass(eq=False)
class Lane:
    """A lane and the electronic target on it; `pushes` if the target also posts its shots."""

    name: str
    discipline: str
    weapon_class: str
    manners: Manners
    history: History
    pushes: Client | None = None
    target: Target = field(init=False)
    _claims: list[Claim] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _closing: bool = False
    begun: datetime | None = None  # the latest time whose turn has come

    def __post_init__(self) -> None:
        self.target = Target(self.manners)

    @property
    def address(self) -> str:
        return f"freetarget://127.0.0.1:{self.target.port}"

    # Turns

    @asynccontextmanager
    async def claim(self, starts_at: datetime) -> AsyncIterator[Claim]:
        """Asks for a time. Whoever comes sets the claim's visit inside; otherwise the claim ends with the block."""
        claim = Claim(starts_at)
        self._claims.append(claim)
        try:
            yield claim
        except BaseException:
            claim.visit = None
            raise
        finally:
            async with self._changed:
                if claim.visit is None:
                    self._claims.remove(claim)
                self._changed.notify_all()

    async def close(self) -> None:
        """Nobody asks for a time any more."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()

    async def run(self) -> None:
        """Lets one visit follow the other in the order of their times, until the lane is closed."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._next() is not None or (self._closing and not self._claims))
                claim = self._next()
            if claim is None or claim.visit is None:
                return
            self.begun = claim.starts_at
            await claim.visit()
            async with self._changed:
                self._claims.remove(claim)
                self._changed.notify_all()

    def _next(self) -> Claim | None:
        first = min(self._claims, key=lambda claim: claim.starts_at, default=None)
        return None if first is None or first.visit is None else first

    # Shots

    async def shoot(self, shots: int, random: Random, *, breaks_off: int | None) -> None:
        """Fires a session at the target; at one of its shots the connection may break."""
        try:
            async with asyncio.timeout(CONNECTED_WITHIN_S):
                await self.target.has_client()
        except TimeoutError:
            raise NotPlayed(f"Nobody connected to the target of {self.name}.") from None
        self.target.new_session()
        for n in range(SIGHTERS + shots):
            if n == breaks_off:
                self.target.hang_up()
                self.history.happened["connections lost"] += 1
                self.history.frames += self.target.fired
            await self._fire(_shot(random, "sighter" if n < SIGHTERS else "match"), random)
            await asyncio.sleep(random.uniform(*PAUSE_S))

    async def _fire(self, shot: Shot, random: Random) -> None:
        doubled = self.pushes is None and random.random() < DOUBLED_COMMAS
        self.target.manners = replace(self.manners, doubled_commas=doubled)
        frame = self.target.fire(shot)
        told_as_sighter = shot.kind == "sighter" and not shot.miss and self.manners.firmware == "6.3"
        self.history.frames += 1
        self.history.happened["shots"] += 1
        self.history.shots.append(
            Sent(
                lane=self.name,
                number=self.target.fired,
                miss=shot.miss,
                x_um=0 if shot.miss else int(shot.x_mm * 1000),
                y_um=0 if shot.miss else int(shot.y_mm * 1000),
                kind="sighter" if told_as_sighter else "match",
            )
        )
        if self.pushes is not None:
            self.history.frames += 1
            posted: Json = json.loads(frame[: frame.rindex(b"}") + 1])
            await self.pushes.post(f"/v1/devices/{self.name}/shots", posted)


def _shot(random: Random, kind: str) -> Shot:
    x_mm, y_mm = (Decimal(random.gauss(0, SPREAD_MM)).quantize(CENT_MM) for _ in "xy")
    return Shot(x_mm, y_mm, "sighter" if kind == "sighter" else "match", miss=random.random() < MISSES)
