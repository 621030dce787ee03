"""Did it hold? Whether a session's shots became better or worse while it was shot."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

from scipy.special import stdtr, stdtrit

from handlers.stats.model.tally import Tally

FEWEST_SHOTS: Final = 10
CONFIDENCE: Final = 0.95
PER_S: Final = 600  # a trend is told in rings a shot per ten minutes
TOO_FEW: Final = f"At least {FEWEST_SHOTS} match shots with a score are needed."
AT_ONCE: Final = "All shots came in one second."
ALL_ALIKE: Final = "All shots lie on one line: how much they vary about it cannot be seen."


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope of a session's scores over time, in rings a shot per ten minutes, with its 95 % interval.

    `p` is how often a session that held has at least so steep a slope by chance (0…1). Without them `absent` says why.
    """

    slope: float | None
    low: float | None
    high: float | None
    p: float | None
    absent: str | None

    @property
    def real(self) -> bool | None:
        """Whether chance alone would hardly do it; None where nothing can be said."""
        return None if self.p is None else self.p < 1 - CONFIDENCE

    @property
    def in_words(self) -> str:
        if self.slope is None:
            return f"Nothing can be said about a trend. {self.absent}"
        towards = f"{abs(self.slope):.2f} rings a shot every ten minutes {'worse' if self.slope < 0 else 'better'}"
        if self.real:
            return f"Your shots became {towards}: chance alone would hardly do it."
        return f"Your shots seem to have become {towards}, but chance alone could well do it: the session held."


def trend(tally: Tally) -> Trend:
    """The least-squares line of the match shots' scores over the moments at which they came, from the tally's sums.

    Sums are whole numbers, so nothing is lost whatever their size. A shot's score is not normal, but from ten shots on
    the slope's test is close to its rate.
    """
    n = tally.scored + tally.misses
    if n < FEWEST_SHOTS or tally.scored < tally.shots:
        return _without(TOO_FEW)
    across = n * tally.sum_ss - tally.sum_s**2
    both = n * tally.sum_s_tenths - tally.sum_s * tally.score_tenths
    along = n * tally.sum_squared_tenths - tally.score_tenths**2
    if across == 0:
        return _without(AT_ONCE)
    rest = (along * across - both**2) / (across * n * (n - 2))  # the variance about the line, in tenths squared
    if rest <= 0:
        return _without(ALL_ALIKE)
    slope = both / across * PER_S / 10
    error = sqrt(rest * n / across) * PER_S / 10
    reach = error * float(stdtrit(n - 2, (1 + CONFIDENCE) / 2))
    p = 2 * float(stdtr(n - 2, -abs(slope) / error))
    return Trend(slope, slope - reach, slope + reach, p, None)


def _without(reason: str) -> Trend:
    return Trend(None, None, None, None, reason)
