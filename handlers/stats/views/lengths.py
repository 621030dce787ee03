"""Figures of a group as the world reads them: in millimetres, minutes of arc and milliradians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

from pydantic import Field

from handlers.stats.groups.angles import moa, mrad
from handlers.stats.groups.figures import Figure
from handlers.stats.views.view import View

UM_PER_MM: Final = 1_000
UM_PER_M: Final = 1_000_000


class Interval(View):
    """A value and, where one is known, the interval that holds the truth at the confidence asked for."""

    value: float
    low: float | None
    high: float | None


class Share(View):
    """A share of shots, from 0 to 1, or why there is none."""

    share: Interval | None
    absent: str | None

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(share=_interval(figure, lambda value: value), absent=figure.absent)


class Length(View):
    """A length on the target, and the angle it is seen under from the firing point; or why there is none."""

    mm: Interval | None
    moa: Interval | None = Field(description="in minutes of arc; none where the lane's distance is not known")
    mrad: Interval | None = Field(description="in milliradians; none where the lane's distance is not known")
    absent: str | None = Field(description="why there is no such length")

    @classmethod
    def of(cls, figure_um: Figure, distance_m: int | None) -> Self:
        away_um = None if distance_m is None else distance_m * UM_PER_M
        return cls(
            mm=_interval(figure_um, lambda um: um / UM_PER_MM),
            moa=None if away_um is None else _interval(figure_um, lambda um: moa(um, away_um)),
            mrad=None if away_um is None else _interval(figure_um, lambda um: mrad(um, away_um)),
            absent=figure_um.absent,
        )


def _interval(figure: Figure, read: Callable[[float], float]) -> Interval | None:
    if figure.value is None:
        return None
    low, high = (None if end is None else read(end) for end in (figure.low, figure.high))
    return Interval(value=read(figure.value), low=low, high=high)
