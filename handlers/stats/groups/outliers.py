"""Shots that do not belong to the rest of their group, and a measure that leaves one of them out."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np
from scipy.special import fdtri

from handlers.stats.groups.figures import Figure, absent, needs
from handlers.stats.groups.shots import Numbers, Shots

FALSE_ALARMS: Final = 0.05
FEWEST: Final = 5
KUCHNOST_SHOTS: Final = 4
KUCHNOST_TIMES: Final = 2.5
HALF_ON_A_POINT: Final = "Half of the shots or more lie on one point."
_FREEDOM_PER_SHOT: Final = 0.96  # 2 (ln 2)^2: how much the median distance knows of sigma
_ROUNDS: Final = 200
_STILL: Final = 1e-6  # of the median distance


@dataclass(frozen=True, slots=True)
class Outliers:
    """The indices of the shots that do not belong to the rest, ascending, and how far from the median one must lie.

    Without a `limit`, `absent` says why.
    """

    indices: tuple[int, ...]
    limit: float | None
    absent: str | None


def outliers(shots: Shots) -> Outliers:
    """Find outliers by a robust method of median and median distance; from five shots on.

    The centre is the spatial median (the place whose distances to all shots have the smallest sum), sigma the median
    distance from it / sqrt(2 ln 2): half of the shots may lie anywhere without moving either much, and both turn
    with the group. A shot is an outlier beyond sigma * sqrt(2 F(1 - 0.05 / n; 2, 0.96 n)), F's quantile allowing for
    what a median of n distances does not know; so about one group in twenty without outliers has a shot named.
    Assumes, as Rayleigh's sigma does, that the group scatters alike in all directions.
    """
    if shots.n < FEWEST:
        return Outliers((), None, needs(FEWEST))
    away = _distances_from_median(shots)
    sigma = float(np.median(away)) / sqrt(2 * log(2))
    if sigma <= _STILL * float(away.max()):
        return Outliers((), None, HALF_ON_A_POINT)
    limit = sigma * sqrt(2 * float(fdtri(2, _FREEDOM_PER_SHOT * shots.n, 1 - FALSE_ALARMS / shots.n)))
    return Outliers(tuple(np.flatnonzero(away > limit).tolist()), limit, None)


def kuchnost(shots: Shots) -> Figure:
    """The largest distance from the group's centre after one flyer is left out, in the shots' unit.

    The Russian measure of a rifle, made for groups of four: a shot that lies at least 2.5 times as far from the
    centre of the others as any of these is left out, and so is never counted (shotGroups getKuchnost). From four
    shots on; no interval is known.
    """
    if shots.n < KUCHNOST_SHOTS:
        return absent(needs(KUCHNOST_SHOTS))
    radius = float(shots.distances.max())
    furthest = int(np.argmax(shots.distances))
    share = 1 / (shots.n - 1)
    x, y = -shots.dx[furthest] * share, -shots.dy[furthest] * share  # the centre of the others
    away = np.hypot(shots.dx - x, shots.dy - y)
    others = float(np.delete(away, furthest).max())
    flew = radius > 0 and away[furthest] >= KUCHNOST_TIMES * others
    return Figure(others if flew else radius)


def _distances_from_median(shots: Shots) -> Numbers:
    """Distances from the spatial median, by Weiszfeld's steps; shape (n,)."""
    x, y = float(np.median(shots.dx)), float(np.median(shots.dy))
    away = _distances(shots, x, y)
    least, still = float(away.max()) * 1e-12, float(np.median(away)) * _STILL
    for _ in range(_ROUNDS if least else 0):
        weights = 1 / np.maximum(away, least)
        x_then, y_then, total = x, y, float(weights.sum())
        x, y = float((weights * shots.dx).sum()) / total, float((weights * shots.dy).sum()) / total
        away = _distances(shots, x, y)
        if abs(x - x_then) + abs(y - y_then) <= still:
            break
    return away


def _distances(shots: Shots, x: float, y: float) -> Numbers:
    dx, dy = shots.dx - x, shots.dy - y
    return np.sqrt(dx * dx + dy * dy)
