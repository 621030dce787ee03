"""Circular error probable: the radius around the group's centre that holds a share of all shots, in several ways.

Definitions as in shotGroups 0.8.4 (getCEP with accuracy=FALSE). Grubbs, "Approximate circular and noncircular offset
probabilities of hitting", Operations Research 12 (1964); RAND R-234 (1952).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from scipy.special import gammaincinv

from handlers.stats.groups import normal, rayleigh
from handlers.stats.groups.figures import Figure, absent, needs
from handlers.stats.groups.shots import Shots

HALF: Final = 0.5
RAND_MAJOR: Final = 0.563
RAND_MINOR: Final = 0.614
ONLY_HALF: Final = "This estimator knows the radius of half of the shots only."


@dataclass(frozen=True, slots=True)
class CircularError:
    """The radius that holds `share` of all shots, in their unit, by each estimator; Rayleigh's has an interval."""

    share: float
    rayleigh: Figure
    grubbs_patnaik: Figure
    grubbs_pearson: Figure
    correlated_normal: Figure
    rmse: Figure
    rand: Figure


def circular_error(shots: Shots, share: float, confidence: float) -> CircularError:
    """Estimate the radius that holds `share` (0…1, both excluded) of all shots; from two shots on."""
    sigma = rayleigh.sigma(shots, confidence)
    hoyt = normal.radius_holding(shots, share)
    by_rayleigh = rayleigh.radius_holding(sigma, share)
    if shots.n < 2 or shots.same_place:
        none = absent(hoyt.absent or needs(2))
        return CircularError(share, by_rayleigh, none, none, hoyt, none, none)
    major, minor = shots.axes
    return CircularError(
        share,
        by_rayleigh,
        _patnaik(major, minor, share),
        _pearson(major, minor, share),
        hoyt,
        Figure(sqrt((major + minor) / 2) * sqrt(-2 * log(1 - share))),
        Figure(RAND_MAJOR * sqrt(major) + RAND_MINOR * sqrt(minor)) if share == HALF else absent(ONLY_HALF),
    )


def _patnaik(major: float, minor: float, share: float) -> Figure:
    """The squared radius as a multiple of chi squared with the same mean and variance."""
    first, second = major + minor, major**2 + minor**2
    freedom = first**2 / second
    return Figure(sqrt(second / first * _chi_squared(freedom, share)))


def _pearson(major: float, minor: float, share: float) -> Figure:
    """The squared radius as a shifted chi squared with the same mean, variance and skewness."""
    first, second, third = (major**k + minor**k for k in (1, 2, 3))
    freedom = second**3 / third**2
    return Figure(sqrt(max(first + sqrt(second / freedom) * (_chi_squared(freedom, share) - freedom), 0.0)))


def _chi_squared(freedom: float, share: float) -> float:
    return 2 * float(gammaincinv(freedom / 2, share))
