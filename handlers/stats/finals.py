"""Finals with cumulative stages and eliminations, from shots to totals and ranks; pure.

ISSF 10 m finals as they stand in published result lists: two series of five shots, then single shots; after every
second of these the last of the remaining finalists leaves, the third after 22, and 24 decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """After how many shots each stage ends.

    After the last stage the two who remain are ranked; after the one before it the third leaves, before that the
    fourth, and so on. With fewer finalists the first eliminations fall away.
    """

    stages: tuple[int, ...]

    def finalists_after(self, shots: int) -> int:
        """How many go on once a stage is over; after the last one, the winner."""
        return len(self.stages) - self.stages.index(shots)


AIR_10M: Final = Format((5, 10, 12, 14, 16, 18, 20, 22, 24))


@dataclass(frozen=True, slots=True)
class Finalist:
    """Shots in tenths of a ring, in order, and those of shoot-offs, by how many shots there were before the tie."""

    name: str
    shots_tenths: tuple[int, ...]
    shoot_offs_tenths: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """The cumulative totals after each of the stages a finalist has shot, in tenths, and the rank.

    The rank is final once `finished`; until then it is that after the last stage everybody has shot, and those with
    equal totals share it.
    """

    name: str
    stage_totals_tenths: tuple[int, ...]
    rank: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Ranking:
    """Everybody by rank, and who must shoot off a tie before the final can go on."""

    standings: tuple[Standing, ...]
    shoot_off: tuple[str, ...]


def rank(finalists: Sequence[Finalist], format_: Format = AIR_10M) -> Ranking:
    """Rank finalists as far as all who remain have shot.

    A tie for leaving is decided by the shoot-off's shots, compared in turn; where these are equal or missing, nobody
    leaves and the tied are named. Raises ValueError for shots from after leaving or after the last stage, and for
    names that occur twice.
    """
    if len({one.name for one in finalists}) < len(finalists):
        raise ValueError("finalists have different names")
    remaining, left = list(finalists), list[Finalist]()
    tied: tuple[str, ...] = ()
    reached = 0
    for shots in format_.stages:
        if not remaining or tied or any(len(one.shots_tenths) < shots for one in remaining):
            break
        reached = shots
        while len(remaining) > format_.finalists_after(shots) and not tied:
            tied = _tied_for_last(remaining, shots)
            if not tied:
                last = min(remaining, key=lambda one: _standing_after(one, reached))
                _must_have_stopped(last, shots)
                remaining.remove(last)
                left.append(last)
    for one in remaining:
        _must_have_stopped(one, format_.stages[-1])
    over = reached == format_.stages[-1] and not tied
    going_on = sorted(remaining, key=lambda one: _total(one, reached), reverse=True)
    standings = [
        Standing(
            one.name, _totals(one, format_), 1 + sum(_total(a, reached) > _total(one, reached) for a in going_on), over
        )
        for one in going_on
    ]
    places = range(len(going_on) + 1, len(finalists) + 1)
    standings += [
        Standing(one.name, _totals(one, format_), place, finished=True)
        for place, one in zip(places, reversed(left), strict=True)
    ]
    return Ranking(tuple(standings), tied)


def _tied_for_last(remaining: Sequence[Finalist], shots: int) -> tuple[str, ...]:
    least = min(_standing_after(one, shots) for one in remaining)
    names = tuple(one.name for one in remaining if _standing_after(one, shots) == least)
    return names if len(names) > 1 else ()


def _standing_after(finalist: Finalist, shots: int) -> tuple[int, tuple[int, ...]]:
    return _total(finalist, shots), finalist.shoot_offs_tenths.get(shots, ())


def _total(finalist: Finalist, shots: int) -> int:
    return sum(finalist.shots_tenths[:shots])


def _totals(finalist: Finalist, format_: Format) -> tuple[int, ...]:
    after = list(accumulate(finalist.shots_tenths, initial=0))
    return tuple(after[stage] for stage in format_.stages if stage < len(after))


def _must_have_stopped(finalist: Finalist, shots: int) -> None:
    if len(finalist.shots_tenths) > shots:
        raise ValueError(f"{finalist.name} left after {shots} shots and has {len(finalist.shots_tenths)}")
