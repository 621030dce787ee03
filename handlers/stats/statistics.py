"""What a group of shots says: where it lies, how wide it is, what it scored, and how sure its mean is.

Definitions as in shotGroups 0.8.4: the centre is the mean, the mean radius the mean distance from it, the extreme
spread the largest distance between two shots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from handlers.stats.events import Group

Point = tuple[int, int]
P = TypeVar("P", tuple[int, int], tuple[float, float])


def group(x_um: npt.ArrayLike, y_um: npt.ArrayLike, tenths: npt.ArrayLike, inner_tens: int, misses: int) -> Group:
    """Describe n match shots that hit, from all of them.

    `x_um`, `y_um`: shape (n,), micrometres from the target's centre. `tenths`: shape (n,), score of each in tenths
    of a ring. `misses` are shots as well: the mean score counts each as a zero. With n = 0 there is no centre.
    """
    x, y = np.asarray(x_um, dtype=np.float64), np.asarray(y_um, dtype=np.float64)
    scores = np.asarray(tenths, dtype=np.int64)
    n = x.size
    total = int(scores.sum())
    hull = convex_hull(zip(np.asarray(x_um).tolist(), np.asarray(y_um).tolist(), strict=True))
    return Group(
        shots=n,
        score_tenths=total,
        integer_score=int((scores // 10).sum()),
        inner_tens=inner_tens,
        mean_score=mean_score(total, n + misses),
        centre_x_um=float(x.mean()) if n else None,
        centre_y_um=float(y.mean()) if n else None,
        mean_radius_um=float(np.hypot(x - x.mean(), y - y.mean()).mean()) if n else None,
        extreme_spread_um=extreme_spread(n, hull),
    )


def mean_score(total_tenths: int, shots: int) -> float | None:
    """Rings a shot, of all shots that count, misses among them; None without any."""
    return total_tenths / 10 / shots if shots else None


def convex_hull(points: Iterable[P]) -> tuple[P, ...]:
    """The corners of the smallest convex polygon around points; exact where they are whole numbers.

    Andrew's monotone chain, from the leftmost lowest corner anticlockwise; points on an edge are no corners. The
    corners depend on the set of points alone, and hull(hull(A) | B) = hull(A | B), so it can be kept while points
    come in any order.
    """
    ordered: list[P] = sorted(set(points))
    if len(ordered) <= 2:
        return tuple(ordered)
    around = _half(ordered) + _half(ordered[::-1])
    return tuple(around)


def _half(ordered: list[P]) -> list[P]:
    chain: list[P] = []
    for point in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _turn(a: P, b: P, c: P) -> float:
    """Positive where a, b, c turn left, zero where they lie on a line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def extreme_spread(shots: int, hull: tuple[Point, ...]) -> float | None:
    """The largest distance between two of these shots, in their unit, from the corners of their hull.

    None below two shots. Costs the square of the corners, of which a group of n shots has about log n.
    """
    if shots < 2:
        return None
    corners = np.array(hull, dtype=np.int64)
    return sqrt(max(int(((corners - corner) ** 2).sum(axis=1).max()) for corner in corners))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of n values with its 95 % interval, in the values' unit; no interval below three values."""

    n: int
    value: float
    low: float | None
    high: float | None


def mean_with_interval(n: int, mean: float, deviation: float | None) -> Mean:
    """The mean of n values and Student's 95 % interval around it; `deviation` is their sample standard deviation."""
    if n < 3 or deviation is None:
        return Mean(n, mean, None, None)
    reach = float(stdtrit(n - 1, 0.975)) * deviation / sqrt(n)
    return Mean(n, mean, mean - reach, mean + reach)
