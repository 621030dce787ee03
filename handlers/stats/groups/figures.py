"""A figure of a group: its value with its interval, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

SAME_PLACE: Final = "All shots lie on one point."
ONE_LINE: Final = "All shots lie on one line."


@dataclass(frozen=True, slots=True)
class Figure:
    """A value in the unit of the shots (unless its function says otherwise) and its confidence interval.

    `low` and `high` are None where no interval is known. Without a value, `absent` is the reason in a sentence.
    No figure is ever infinite or not a number.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    absent: str | None = None

    def __post_init__(self) -> None:
        assert (self.value is None) != (self.absent is None), "a figure has a value or a reason"
        assert all(isfinite(one) for one in (self.value, self.low, self.high) if one is not None)

    def times(self, factor: float) -> Figure:
        """The figure of something that is `factor` times as large; `factor` is positive."""
        if self.value is None:
            return self
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Figure(self.value * factor, low, high)


def absent(reason: str) -> Figure:
    return Figure(None, absent=reason)


def needs(shots: int) -> str:
    """The reason why smaller groups lack a figure."""
    return "A shot is needed." if shots == 1 else f"At least {shots} shots are needed."
