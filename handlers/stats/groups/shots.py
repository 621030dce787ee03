"""A group made ready: its shots, its centre, and how they scatter around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import atan2, degrees, hypot
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
THIN: Final = 1e-12  # a smaller share of the scatter across the group is rounding: the shots lie on one line


@dataclass(frozen=True)
class Shots:
    """n shots, x to the right, y upwards, in any one unit of length.

    `dx`, `dy` are their places seen from their centre, shape (n,); `xx`, `yy`, `xy` the sample covariances (divided
    by n - 1; zero below two shots), in the unit squared.
    """

    n: int
    x: Numbers
    y: Numbers
    centre_x: float
    centre_y: float
    dx: Numbers
    dy: Numbers
    xx: float
    yy: float
    xy: float

    @staticmethod
    def of(x: npt.ArrayLike, y: npt.ArrayLike) -> Shots:
        """Shots at `x`, `y`, both of shape (n,). Raises ValueError where they differ in shape or are not finite."""
        xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if xs.shape != ys.shape or xs.ndim != 1:
            raise ValueError(f"as many x as y are needed, in one row each, not {xs.shape} and {ys.shape}")
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            raise ValueError("a shot that hit has a place")
        n = xs.size
        centre_x, centre_y = (float(xs.mean()), float(ys.mean())) if n else (0.0, 0.0)
        dx, dy = xs - centre_x, ys - centre_y
        if n and _one_value(xs):
            dx = np.zeros(n)
        if n and _one_value(ys):
            dy = np.zeros(n)
        per = max(n - 1, 1)
        # sums, not products of vectors: the threads of a linear algebra library wait for one another on a busy machine
        xx, yy, xy = (float((a * b).sum()) / per for a, b in ((dx, dx), (dy, dy), (dx, dy)))
        return Shots(n, xs, ys, centre_x, centre_y, dx, dy, xx, yy, xy)

    @cached_property
    def distances(self) -> Numbers:
        """How far each shot lies from the centre, shape (n,)."""
        return np.hypot(self.dx, self.dy)

    @property
    def total_variance(self) -> float:
        return self.xx + self.yy

    @cached_property
    def axes(self) -> tuple[float, float]:
        """The larger and the smaller variance along the group's own axes; the smaller is 0 if it lies on one line."""
        major = self.total_variance / 2 + hypot((self.xx - self.yy) / 2, self.xy)
        minor = 0.0 if major == 0 else (self.xx * self.yy - self.xy**2) / major
        return major, minor if minor > THIN * major else 0.0

    @property
    def angle_deg(self) -> float:
        """The direction of the larger scatter, in degrees from the x axis anticlockwise, within (-90, 90]."""
        return degrees(atan2(2 * self.xy, self.xx - self.yy)) / 2

    @property
    def same_place(self) -> bool:
        return self.axes[0] == 0

    @property
    def on_one_line(self) -> bool:
        return self.axes[1] == 0


def _one_value(values: Numbers) -> bool:
    return bool((values == values[0]).all())
