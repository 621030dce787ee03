"""How large a group is on the paper: what a ruler, a circle and an ellipse around it measure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Final

import numpy as np
from scipy.special import chdtri, fdtri

from handlers.stats.groups.circle import Circle, smallest_circle
from handlers.stats.groups.figures import ONE_LINE, SAME_PLACE, Figure, absent, needs
from handlers.stats.groups.shots import Numbers, Shots
from handlers.stats.statistics import convex_hull

EIGHT_DIRECTIONS: Final = tuple((np.cos(turn), np.sin(turn)) for turn in np.arange(8) * np.pi / 4)
SORT_UP_TO: Final = 500


@dataclass(frozen=True)
class Extent:
    """The measures that only the outermost shots decide, in the shots' unit. No interval is known of any of them."""

    shots: Shots

    @cached_property
    def corners(self) -> Numbers:
        """The corners of the convex hull, shape (m, 2); exact where the shots' places are whole numbers."""
        places = np.column_stack((self.shots.x, self.shots.y))
        if self.shots.n > SORT_UP_TO:
            places = places[_outside(places)]
        return np.array(convex_hull(zip(*places.T.tolist(), strict=True))).reshape(-1, 2)

    @property
    def extreme_spread(self) -> Figure:
        """The largest distance between two shots."""
        if self.shots.n < 2:
            return absent(needs(2))
        x, y = self.corners.T
        return Figure(float(np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y)).max()))

    @property
    def width(self) -> Figure:
        """How wide the box around the shots is, its sides upright."""
        return absent(needs(2)) if self.shots.n < 2 else Figure(float(np.ptp(self.shots.x)))

    @property
    def height(self) -> Figure:
        """How high the same box is."""
        return absent(needs(2)) if self.shots.n < 2 else Figure(float(np.ptp(self.shots.y)))

    @property
    def figure_of_merit(self) -> Figure:
        """Half of the box's width and height together."""
        if self.shots.n < 2:
            return absent(needs(2))
        return Figure((float(np.ptp(self.shots.x)) + float(np.ptp(self.shots.y))) / 2)

    @property
    def diagonal(self) -> Figure:
        """The box's diagonal."""
        if self.shots.n < 2:
            return absent(needs(2))
        return Figure(float(np.hypot(np.ptp(self.shots.x), np.ptp(self.shots.y))))

    @cached_property
    def circle(self) -> Circle | None:
        """The smallest circle around all shots, in the coordinates of the shots; none below two."""
        if self.shots.n < 2:
            return None
        return smallest_circle(self.corners)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """The ellipse that holds a share of all shots: half its axes, and the longer one's direction.

    `angle_deg` runs from the x axis anticlockwise. `factor` is the axes in standard deviations.
    """

    factor: float
    semi_major: float
    semi_minor: float
    angle_deg: float


def ellipse(shots: Shots, share: float) -> Ellipse | str:
    """The covariance ellipse that holds `share` of all shots, or why there is none: from three shots on.

    The factor is sqrt(2 F(share; 2, n - 1)), as in shotGroups getConfEll.
    """
    if shots.n < 3:
        return needs(3)
    if shots.on_one_line:
        return SAME_PLACE if shots.same_place else ONE_LINE
    factor = sqrt(2 * float(fdtri(2, shots.n - 1, share)))
    major, minor = shots.axes
    return Ellipse(factor, factor * sqrt(major), factor * sqrt(minor), shots.angle_deg)


def deviation(variance: float, n: int, confidence: float) -> Figure:
    """The standard deviation along one axis from its sample variance, its interval from chi squared, n - 1."""
    if n < 2:
        return absent(needs(2))
    if variance == 0:
        return absent("All shots have the same place along this axis.")
    tail, squares = (1 - confidence) / 2, variance * (n - 1)
    return Figure(sqrt(variance), sqrt(squares / chdtri(n - 1, tail)), sqrt(squares / chdtri(n - 1, 1 - tail)))


def _outside(places: Numbers) -> np.typing.NDArray[np.intp]:
    """Which places could be corners: those not inside the polygon of the outermost ones in eight directions."""
    ends = np.array([places[np.argmax(places[:, 0] * right + places[:, 1] * up)] for right, up in EIGHT_DIRECTIONS])
    inside = np.full(len(places), bool((ends != ends[0]).any()))  # with all on one point there is no inside
    for a, b in zip(ends, np.roll(ends, -1, axis=0), strict=True):
        if (a != b).any():
            inside &= (b[0] - a[0]) * (places[:, 1] - a[1]) - (b[1] - a[1]) * (places[:, 0] - a[0]) > 0
    return np.flatnonzero(~inside)
