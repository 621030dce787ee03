"""What a bench finds: figures of several rounds, each taken beside its baseline's, and what is asked of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final, TypeVar

T = TypeVar("T")

Tell = Callable[[str, int, int], None]
"""Says what is being done, and how much of how much is done."""

HIGHEST_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 2.0  # each stretch of a bench that runs for a time
    events: int = 300_000  # what `consume` reads in each stretch
    grown: int = 1_000_000  # how long the log of `growth` is; its short one is a hundredth


@dataclass(frozen=True, slots=True)
class Bound:
    """What is asked of a figure: its ratio to the baseline, and the figure itself."""

    ratio_at_least: float | None = None
    ratio_at_most: float | None = None
    value_at_least: float | None = None
    value_at_most: float | None = None

    def met(self, value: float, ratio: float) -> bool | None:
        """Whether the figure is what is asked; None where nothing is."""
        if self == Bound():
            return None
        return (
            (self.ratio_at_least is None or ratio >= self.ratio_at_least)
            and (self.ratio_at_most is None or ratio <= self.ratio_at_most)
            and (self.value_at_least is None or value >= self.value_at_least)
            and (self.value_at_most is None or value <= self.value_at_most)
        )

    @property
    def asked(self) -> dict[str, float]:
        """The bounds that there are, by name."""
        return {name: bound for name, bound in asdict(self).items() if bound is not None}

    def __str__(self) -> str:
        asked = [
            None if self.ratio_at_least is None else f"ratio ≥ {self.ratio_at_least:g}",
            None if self.ratio_at_most is None else f"ratio ≤ {self.ratio_at_most:g}",
            None if self.value_at_least is None else f"≥ {self.value_at_least:,.0f}",
            None if self.value_at_most is None else f"≤ {self.value_at_most:,.0f}",
        ]
        return ", ".join(one for one in asked if one) or "stated"


@dataclass(frozen=True, slots=True)
class Beside:
    """What something else did in the same rounds; or why it was not measured."""

    values: Sequence[float] = ()
    version: str | None = None
    skipped: str | None = None

    @property
    def value(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure a round, ours and the baseline's, and what else was seen."""

    values: Sequence[float]
    baseline_values: Sequence[float]
    details: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Beside] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def baseline_value(self) -> float:
        return median(self.baseline_values)

    @property
    def ratio(self) -> float:
        return self.value / self.baseline_value


async def in_turns(
    rounds: int,
    ours: Callable[[int], Awaitable[T]],
    baseline: Callable[[int], Awaitable[T]],
    tell: Tell,
) -> tuple[list[T], list[T]]:
    """Measures both in each round (0, 1, …); who goes first changes, so that a drifting machine favours neither."""
    found = await all_in_turns(rounds, [ours, baseline], tell)
    return found[0], found[1]


async def all_in_turns(rounds: int, sides: Sequence[Callable[[int], Awaitable[T]]], tell: Tell) -> list[list[T]]:
    """The same with any number of sides: each round begins with the next one."""
    found: list[list[T]] = [[] for _ in sides]
    for number in range(rounds):
        for done in range(len(sides)):
            tell(f"round {number + 1} of {rounds}", len(sides) * number + done, len(sides) * rounds)
            side = (number + done) % len(sides)
            found[side].append(await sides[side](number))
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that `percent` of them do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // HIGHEST_PERCENT)
    return ordered[max(0, int(rank) - 1)]
