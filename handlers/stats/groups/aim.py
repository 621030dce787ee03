"""Where a group lies: its centre with intervals, and whether it is off what was aimed at."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt

from scipy.special import fdtrc, stdtrit

from handlers.stats.groups.figures import ONE_LINE, SAME_PLACE, Figure, absent, needs
from handlers.stats.groups.shots import Shots


@dataclass(frozen=True, slots=True)
class Aim:
    """Hotelling's test of whether the centre of all shots ever fired this way could be the aim.

    `t_squared` is the statistic, `p` how often a group without any offset lies at least as far off (0…1). Without
    them `absent` says why. Hotelling, Annals of Mathematical Statistics 2 (1931).
    """

    t_squared: float | None
    p: float | None
    absent: str | None


def centre(shots: Shots, confidence: float) -> tuple[Figure, Figure]:
    """The centre's x and y; each with Student's interval of n - 1 degrees of freedom, from two shots on."""
    if shots.n == 0:
        none = absent(needs(1))
        return none, none
    return _mean(shots.centre_x, shots.xx, shots.n, confidence), _mean(shots.centre_y, shots.yy, shots.n, confidence)


def offset(shots: Shots, aim: tuple[float, float]) -> Figure:
    """How far the centre lies from the aim, in the shots' unit."""
    if shots.n == 0:
        return absent(needs(1))
    return Figure(hypot(shots.centre_x - aim[0], shots.centre_y - aim[1]))


def off_aim(shots: Shots, aim: tuple[float, float]) -> Aim:
    """Test the offset from the aim, from three shots on that do not lie on one line."""
    if shots.n < 3:
        return Aim(None, None, needs(3))
    if shots.on_one_line:
        return Aim(None, None, SAME_PLACE if shots.same_place else ONE_LINE)
    n, x, y = shots.n, shots.centre_x - aim[0], shots.centre_y - aim[1]
    major, minor = shots.axes
    t_squared = n * (shots.yy * x * x - 2 * shots.xy * x * y + shots.xx * y * y) / (major * minor)
    ratio = (n - 2) / (2 * (n - 1)) * t_squared
    return Aim(t_squared, float(fdtrc(2, n - 2, ratio)), None)


def _mean(value: float, variance: float, n: int, confidence: float) -> Figure:
    if n < 2 or variance == 0:
        return Figure(value)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * sqrt(variance / n)
    return Figure(value, value - reach, value + reach)
