"""What a target's shots look like that no shooter fires; pure.

An alarm says what to look at, and changes nothing: the shots count, until a person corrects them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from gateway.tracking.shots import Sighted

FASTEST: Final = timedelta(milliseconds=100)  # from shot to shot: no semi-automatic pistol is faster
DOUBLE_WITHIN: Final = timedelta(seconds=1)
DOUBLE_APART_UM: Final = 1_000  # one shot told as two: the same hole, under two numbers
SKEW_S: Final = 5.0
SILENT_AFTER: Final = timedelta(minutes=30)
KEPT: Final = 20

Kind = Literal["impossible-cadence", "double-hit", "cross-shot", "clock-skew", "silent", "shots-missing"]


class Alarm(NamedTuple):
    """Something that a person should look at; `number` is the shot's, where there is one."""

    kind: Kind
    at: datetime | None
    number: int | None = None


@dataclass(slots=True)
class Watch:
    """Follows one target's live shots."""

    _last: tuple[Sighted, datetime] | None = None
    _found: deque[Alarm] = field(default_factory=lambda: deque(maxlen=KEPT))

    def look(self, shots: Iterable[Sighted], at: datetime | None) -> None:
        """These have just come, at this moment of the database's clock."""
        for shot in shots:
            if at is None:
                continue
            self._found.extend(Alarm(kind, at, shot.number) for kind in self._kinds(shot, at))
            self._last = shot, at

    def alarms(self, skew_s: float | None, at: datetime | None, *, missing: bool) -> Sequence[Alarm]:
        """What was found lately, and what is so now."""
        now: list[Alarm] = []
        if skew_s is not None and abs(skew_s) > SKEW_S:
            now.append(Alarm("clock-skew", at))
        if at is not None and self._last is not None and at - self._last[1] > SILENT_AFTER:
            now.append(Alarm("silent", self._last[1]))
        if missing:
            now.append(Alarm("shots-missing", at))
        return [*self._found, *now]

    def _kinds(self, shot: Sighted, at: datetime) -> list[Kind]:
        found: list[Kind] = ["cross-shot"] if shot.invalid == "cross-shot" else []
        if self._last is None:
            return found
        last, came_at = self._last
        if (last.epoch, last.number) == (shot.epoch, shot.number):
            return found  # it is repeated
        apart = _apart(last, shot) or at - came_at
        if apart < FASTEST:
            found.append("impossible-cadence")
        near = math.hypot(shot.x_um - last.x_um, shot.y_um - last.y_um) <= DOUBLE_APART_UM
        if apart < DOUBLE_WITHIN and near and not shot.miss and not last.miss:
            found.append("double-hit")
        return found


def _apart(one: Sighted, other: Sighted) -> timedelta | None:
    """How far apart the device's own clock has them; None if it does not say."""
    if one.fired_at is not None and other.fired_at is not None:
        return abs(other.fired_at - one.fired_at)
    if one.elapsed_ms is not None and other.elapsed_ms is not None and one.epoch == other.epoch:
        return timedelta(milliseconds=abs(other.elapsed_ms - one.elapsed_ms))
    return None
