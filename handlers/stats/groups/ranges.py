"""Sigma from what a ruler measures on the paper: for groups whose single shots nobody wrote down.

Each measure of n shots is, on average, a constant times sigma; these constants are exact for the box (quadrature of
the range of n normal values, Tippett, Biometrika 17 (1925)) and simulated for the extreme spread.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from scipy.special import ndtr

from handlers.stats.groups.figures import Figure, absent
from handlers.stats.groups.shots import Numbers

FEWEST: Final = 2
MOST: Final = 20
OUT_OF_TABLE: Final = "Known for groups of 2 to 20 shots."

EXTREME_SPREADS: Final = (
    1.7725, 2.4088, 2.7934, 3.0659, 3.2752, 3.4442, 3.5854, 3.7061, 3.8116, 3.9047,
    3.9882, 4.0640, 4.1326, 4.1960, 4.2545, 4.3085, 4.3595, 4.4068, 4.4512,
)  # fmt: skip
"""The mean extreme spread of 2, 3, … 20 shots of sigma 1, each from eight million groups: right within 0.0003.

Simulated as the mean of spread / root of the sum of squares, which is independent of that root, whose mean is exact.
"""


def from_extreme_spread(spread: Figure, shots: int) -> Figure:
    """Rayleigh's sigma of a group of so many shots from its extreme spread, in its unit."""
    if not FEWEST <= shots <= MOST:
        return absent(OUT_OF_TABLE)
    return spread.times(1 / EXTREME_SPREADS[shots - FEWEST])


def from_figure_of_merit(merit: Figure, shots: int) -> Figure:
    """Rayleigh's sigma of a group of so many shots from its figure of merit, in its unit."""
    return absent(OUT_OF_TABLE) if not FEWEST <= shots <= MOST else merit.times(1 / mean_range(shots))


def from_diagonal(diagonal: Figure, shots: int) -> Figure:
    """Rayleigh's sigma of a group of so many shots from the diagonal of its box, in its unit."""
    return absent(OUT_OF_TABLE) if not FEWEST <= shots <= MOST else diagonal.times(1 / mean_diagonal(shots))


@cache
def mean_range(n: int) -> float:
    """The mean range of n values of the standard normal distribution."""
    below = ndtr(_PLACES)
    return float(np.trapezoid(1 - below**n - (1 - below) ** n, _PLACES))


@cache
def mean_diagonal(n: int) -> float:
    """The mean diagonal of the box around n shots of sigma 1: its width and height are independent ranges."""
    nodes, weights = np.polynomial.legendre.leggauss(128)
    ranges, weights = (nodes + 1) * _WIDEST / 2, weights * _WIDEST / 2
    shares = weights * _range_density(n, ranges)
    return float(shares @ np.hypot.outer(ranges, ranges) @ shares)


_PLACES: Final = np.linspace(-9, 9, 1801)
_WIDEST: Final = 16.0


def _range_density(n: int, ranges: Numbers) -> Numbers:
    lowest = _PLACES[:, np.newaxis]
    both = np.exp(-(lowest**2 + (lowest + ranges) ** 2) / 2) / (2 * np.pi)
    between = (ndtr(lowest + ranges) - ndtr(lowest)) ** (n - 2)
    density: Numbers = n * (n - 1) * np.trapezoid(both * between, _PLACES, axis=0)
    return density
