"""The scatter of a group as one number: Rayleigh's sigma, and what follows from it.

The model: both coordinates scatter normally, alike and independently around the group's centre. Definitions as in
the R package shotGroups 0.8.4 (getRayParam); see also Singh, "Estimation of circular probable error", Sankhya B 54
(1992), and ballistipedia.com, "Closed form precision".
"""

from __future__ import annotations

from math import exp, log, pi, sqrt
from typing import Final

from scipy.special import chdtri, gammaln

from handlers.stats.groups.figures import SAME_PLACE, Figure, absent, needs
from handlers.stats.groups.shots import Shots

PER_MEAN_RADIUS: Final = sqrt(pi / 2)
PER_RADIAL_DEVIATION: Final = sqrt((4 - pi) / 2)


def sigma(shots: Shots, confidence: float) -> Figure:
    """The standard deviation of each coordinate, in the shots' unit, with its interval; from two shots on.

    sqrt(sum r^2 / (2n - 2)) / c4(2n - 1), where c4 takes away the bias of a root. The interval comes from chi squared
    with 2n - 2 degrees of freedom; as in shotGroups its ends are divided by c4 as well, which costs it some of its
    rate: 92.5 % instead of 95 % with two shots, 94.8 % with ten.
    """
    if shots.n < 2:
        return absent(needs(2))
    if shots.same_place:
        return absent(SAME_PLACE)
    return sigma_of(shots.total_variance * (shots.n - 1), 2 * shots.n - 2, confidence)


def sigma_of(squares: float, freedom: int, confidence: float) -> Figure:
    """The same of squared distances from their centres, added up over one group or several.

    `freedom` is twice the number of shots less twice that of the groups, from 2 on; `squares` is positive.
    """
    c4 = _c4(freedom + 1)
    tail = (1 - confidence) / 2
    return Figure(
        sqrt(squares / freedom) / c4,
        sqrt(squares / chdtri(freedom, tail)) / c4,
        sqrt(squares / chdtri(freedom, 1 - tail)) / c4,
    )


def mean_radius(sigma: Figure) -> Figure:
    """How far a shot lies from the centre on average: sigma * sqrt(pi / 2)."""
    return sigma.times(PER_MEAN_RADIUS)


def radial_deviation(sigma: Figure) -> Figure:
    """The standard deviation of the distances from the centre: sigma * sqrt((4 - pi) / 2)."""
    return sigma.times(PER_RADIAL_DEVIATION)


def radius_holding(sigma: Figure, share: float) -> Figure:
    """The radius around the centre that holds `share` of all shots: sigma * sqrt(-2 ln(1 - share))."""
    return sigma.times(sqrt(-2 * log(1 - share)))


def share_within(sigma: Figure, radius: float) -> Figure:
    """The share of all shots (0…1) within `radius` of the centre: 1 - exp(-radius^2 / 2 sigma^2)."""
    if sigma.value is None:
        return sigma

    def share(spread: float) -> float:
        return 1 - exp(-((radius / spread) ** 2) / 2)

    low = None if sigma.high is None else share(sigma.high)
    high = None if sigma.low is None else share(sigma.low)
    return Figure(share(sigma.value), low, high)


def _c4(k: int) -> float:
    """How much too small the root of a variance of k values is on average."""
    return sqrt(2 / (k - 1)) * exp(gammaln(k / 2) - gammaln((k - 1) / 2))
