"""Practical shooting: points against time, as IPSC's and USPSA's Comstock method counts them; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

Power = Literal["major", "minor"]
POINTS: Final[Mapping[Power, Mapping[str, int]]] = {
    "major": {"A": 5, "C": 4, "D": 2},
    "minor": {"A": 5, "C": 3, "D": 1},
}
PENALTY_POINTS: Final = 10
_FOUR_PLACES: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Stage:
    """What a shooter did on a stage: hits by zone, penalties (misses, no-shoots, procedurals), and the time."""

    power: Power
    alphas: int
    charlies: int
    deltas: int
    penalties: int
    time_s: Decimal


def points(stage: Stage) -> int:
    """Hits by their zone's worth, less ten for each penalty; never below zero."""
    worth = POINTS[stage.power]
    scored = stage.alphas * worth["A"] + stage.charlies * worth["C"] + stage.deltas * worth["D"]
    return max(scored - PENALTY_POINTS * stage.penalties, 0)


def hit_factor(stage: Stage) -> Decimal:
    """Points a second, to four places (halves upwards). Raises ValueError without a time.

    IPSC and USPSA rules, 9.2.1.1: 115 points in 25.00 s are 4.6000.
    """
    if stage.time_s <= 0:
        raise ValueError("a stage takes time")
    return (points(stage) / stage.time_s).quantize(_FOUR_PLACES, ROUND_HALF_UP)


def stage_points(factors: Mapping[str, Decimal], available: int) -> dict[str, Decimal]:
    """The stage points of each shooter of a division: the best factor takes all available, others their share of it.

    To four places, halves upwards; nothing where nobody scored.
    """
    best = max(factors.values(), default=Decimal(0))
    if best == 0:
        return dict.fromkeys(factors, Decimal(0))
    return {name: (available * one / best).quantize(_FOUR_PLACES, ROUND_HALF_UP) for name, one in factors.items()}
