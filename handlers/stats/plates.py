"""Faces that are hit or missed: plates that fall, and zones of a ring face; exact, because nothing is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]


class Plate(NamedTuple):
    """A round plate: its centre on the target and its diameter, in whole micrometres."""

    x_um: int
    y_um: int
    diameter_um: int


def hits(plates: Sequence[Plate], x_um: npt.ArrayLike, y_um: npt.ArrayLike, *, gauge_um: int = 0) -> Hits:
    """Which of n shots hit which of m plates: shape (n, m).

    `x_um`, `y_um`: whole micrometres, shape (n,), at most ten metres either way. With a gauge a hole need only touch a
    plate; without one its centre must lie on it. The edge belongs to the plate.
    """
    x, y = (np.asarray(one, dtype=np.int64)[:, np.newaxis] for one in (x_um, y_um))
    at = np.array(plates, dtype=np.int64).reshape(-1, 3)
    squared = (x - at[:, 0]) ** 2 + (y - at[:, 1]) ** 2
    found: Hits = 4 * squared <= (at[:, 2] + gauge_um) ** 2
    return found


def fallen(hit: Hits) -> int:
    """How many plates fell. A plate falls once; whatever hits it later counts for nothing."""
    return int(hit.any(axis=0).sum())


def hits_zone(tenths: npt.NDArray[np.int64], least_tenths: int) -> Hits:
    """Which of n shots lie in the zone of a ring face that counts as a hit, from their scores; shape (n,)."""
    found: Hits = tenths >= least_tenths
    return found
