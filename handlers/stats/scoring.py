"""The score of a shot from where it hit: exact at every ring's edge, because nothing is ever rounded.

The rule (ISSF decimal scoring as electronic targets do it; its form was fitted on rows of SIUS machines): let
R be the distance at which the hole's edge just touches the ten ring, R = (ring 10 + gauge) / 2, w the width of
a ring and r the distance of the hole's centre.

    r <= R:  score = 11 - r / R          the ten is divided into ten equal bands
    r > R:   score = 10 - (r - R) / w    every further ring is divided into ten equal bands

truncated to tenths, at most 10.9, and 0 beyond the lowest ring. A hole that touches a line has the better score.
For air rifle, air pistol and 50 m rifle R equals w and both lines are one; on the other faces they are not.

Turned round, a score of s tenths is reached where r <= limit(s), and every limit is a whole number of twentieths
of a micrometre. So 400 r² <= (20 limit)² decides it in whole numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from handlers.stats.faces import Face

BEST_TENTHS: Final = 109
TEN_TENTHS: Final = 100
_SCALE: Final = 400  # (twice, for diameters, times ten, for tenths) squared

Lengths = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """Of n shots: their scores in tenths of a ring (int64, 0 or 10…109), and whether each is an inner ten (bool)."""

    tenths: npt.NDArray[np.int64]
    inner_ten: npt.NDArray[np.bool_]


def score(face: Face, x_um: npt.ArrayLike, y_um: npt.ArrayLike) -> Scores:
    """Score n shots on a face.

    `x_um`, `y_um`: whole micrometres from the centre, shape (n,), at most ten metres either way (so that nothing
    here leaves 64 bits). Raises ValueError if they are not whole numbers of equal shape.
    """
    x, y = _whole(x_um), _whole(y_um)
    if x.shape != y.shape:
        raise ValueError(f"as many x as y are needed, not {x.shape} and {y.shape}")
    squared = x * x + y * y
    limits, lowest = _limits(face)
    reached = np.searchsorted(limits, squared * _SCALE, side="left")  # how many limits lie inside the hole
    tenths = np.maximum(BEST_TENTHS - reached, 0)
    tenths[tenths < lowest] = 0
    return Scores(tenths, squared <= face.inner_ten_um**2)


def integer_score(tenths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Whole rings: each shot's decimal score without its tenths."""
    return tenths // 10


@cache
def _limits(face: Face) -> tuple[Lengths, int]:
    """The squared limits of 10.9, 10.8, … down to the lowest ring, ascending, and the lowest ring in tenths."""
    lowest = face.lowest * 10
    ten = face.ring10_um + face.gauge_um  # twice R
    scaled = [
        ten * (BEST_TENTHS + 1 - s) if s >= TEN_TENTHS else ten * 10 + face.step_um * (TEN_TENTHS - s)
        for s in range(BEST_TENTHS, lowest - 1, -1)
    ]
    return np.array([limit * limit for limit in scaled], dtype=np.int64), lowest


def _whole(lengths: npt.ArrayLike) -> Lengths:
    array = np.atleast_1d(np.asarray(lengths))
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError("coordinates are whole micrometres")
    return array.astype(np.int64)
