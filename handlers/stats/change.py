"""Is this change real? A test of whether a shooter's sessions became better or worse from one time to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import Final

from scipy.special import stdtr, stdtrit

FEWEST_SESSIONS: Final = 3
FEWEST_SHOTS: Final = 10
CONFIDENCE: Final = 0.95
TOO_FEW: Final = f"At least {FEWEST_SESSIONS} sessions of {FEWEST_SHOTS} match shots are needed before and after."
ALL_ALIKE: Final = "All sessions before have one mean and so have all after: how much days differ cannot be seen."


@dataclass(frozen=True, slots=True)
class Change:
    """From one time to another, in the unit of the sessions' means.

    `difference` is the mean of the later sessions less that of the earlier, `low` and `high` its interval, `p` how
    often sessions that did not change differ at least as much by chance (0…1). Where these are None, `absent` says
    why.
    """

    sessions_before: int
    sessions_after: int
    mean_before: float | None
    mean_after: float | None
    difference: float | None
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
        """What it comes to, for the shooter."""
        if self.difference is None or self.low is None or self.high is None or self.p is None:
            return f"Nothing can be said about a change yet. {self.absent}"
        chance = f"Without a real change, chance would bring so large a difference in {_percent(self.p)} of comparisons"
        towards = f"{abs(self.difference):.2f} rings a shot {'worse' if self.difference < 0 else 'better'} than before"
        if self.real:
            ends = sorted((abs(self.low), abs(self.high)))
            return f"You shoot {towards}, somewhere from {ends[0]:.2f} to {ends[1]:.2f}. {chance}: it is probably real."
        return (
            f"Your mean is {towards}, but anything from {-self.low:.2f} worse to {self.high:.2f} better would fit as "
            f"well. {chance}: it is no evidence of a change."
        )


def compare(before: Sequence[float], after: Sequence[float]) -> Change:
    """Compare the means of the sessions of two times, each session one value, by Welch's test at 95 %.

    Sessions, not shots, are what is counted: the shots of a day go together (light, form, sights), and counting them
    singly would find changes everywhere. Welch's test, because the two times may differ in how many sessions they
    have and how much these vary, because the mean of a session's shots is nearly normal, and because it gives the
    interval of the difference, which a permutation test does not; that one can also never find anything in three
    sessions against three. Both ends of each time are fixed beforehand: choosing the split by the look of the scores
    would make p worthless. Welch, Biometrika 34 (1947).
    """
    n, m = len(before), len(after)
    mean_before, mean_after = (fmean(one) if one else None for one in (before, after))

    def without(reason: str) -> Change:
        return Change(n, m, mean_before, mean_after, None, None, None, None, reason)

    if mean_before is None or mean_after is None or min(n, m) < FEWEST_SESSIONS:
        return without(TOO_FEW)
    share_before, share_after = variance(before) / n, variance(after) / m
    if share_before + share_after == 0:
        return without(ALL_ALIKE)
    error = sqrt(share_before + share_after)
    freedom = (share_before + share_after) ** 2 / (share_before**2 / (n - 1) + share_after**2 / (m - 1))
    difference = mean_after - mean_before
    reach = error * float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    p = 2 * float(stdtr(freedom, -abs(difference) / error))
    return Change(n, m, mean_before, mean_after, difference, difference - reach, difference + reach, p, None)


def _percent(p: float) -> str:
    return "less than 0.1 %" if p < 0.001 else f"{p * 100:.1f} %"
