"""How one shooter stands among those who let their results be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from handlers.stats.change import FEWEST_SESSIONS, FEWEST_SHOTS
from handlers.stats.privacy import FEWEST_PEOPLE

NOT_SHARED: Final = "You see how you compare once you share your results as well."
TOO_FEW_SESSIONS: Final = f"You need {FEWEST_SESSIONS} sessions of {FEWEST_SHOTS} match shots in that time."
TOO_FEW_PEOPLE: Final = f"Fewer than {FEWEST_PEOPLE} shooters share so many sessions of this discipline in that time."


@dataclass(frozen=True, slots=True)
class Standing:
    """A place among `people`, 1 the best; equal means share the better one."""

    person: UUID
    mean: float
    sessions: int
    rank: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`percentile` is the share (0…100) of the others whose mean is lower, equal ones counting half."""

    people: int | None
    percentile: float | None
    rank: int | None
    median: float | None
    absent: str | None


def standings(means: Mapping[UUID, Sequence[float]]) -> list[Standing]:
    """Everybody with sessions enough, the best first; nobody where there are fewer than five.

    `means` are each person's session means of one discipline, in rings a shot, of sessions with shots enough.
    """
    counted = {person: sum(of) / len(of) for person, of in means.items() if len(of) >= FEWEST_SESSIONS}
    if len(counted) < FEWEST_PEOPLE:
        return []
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [
        Standing(person, mean, len(means[person]), 1 + sum(other > mean for other in counted.values()))
        for person, mean in ordered
    ]


def compare_with_others(person: UUID, means: Mapping[UUID, Sequence[float]], *, shares: bool) -> Comparison:
    """Where a person stands; nothing for who does not share, has too few sessions, or would be among a few."""
    if not shares:
        return _without(NOT_SHARED)
    if len(means.get(person, ())) < FEWEST_SESSIONS:
        return _without(TOO_FEW_SESSIONS)
    table = standings(means)
    if not table:
        return _without(TOO_FEW_PEOPLE)
    own = next(one for one in table if one.person == person)
    others = [one.mean for one in table if one.person != person]
    below = sum(one < own.mean for one in others) + sum(one == own.mean for one in others) / 2
    ordered = sorted(one.mean for one in table)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Comparison(len(table), 100 * below / len(others), own.rank, median, None)


def _without(reason: str) -> Comparison:
    return Comparison(None, None, None, None, reason)
