"""How much each caller may ask: a bucket of units that fills again at a steady rate; dear routes take more of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

from gateway.problems import TOO_MANY_REQUESTS, again_after

DEFAULT_RATE: Final = 200  # units a second
BURST_S: Final = 10  # a full bucket holds what comes in within this time
MOST_CALLERS: Final = 50_000  # that are remembered; who is forgotten begins with a full bucket
REFUSED_TOKEN_COST: Final = 10  # charged to the address


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class Rates:
    """Charges callers; `rate` is in units a second for each, and 0 means no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}  # the one that was used longest ago comes first

    def charge(self, caller: str, cost: int) -> None:
        """Takes `cost` units of the caller's; raises the problem, and takes nothing, where there are not so many."""
        if not self._rate or not cost:
            return
        full, now_s = self._rate * BURST_S, self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(full, now_s)
        bucket.left = min(full, bucket.left + (now_s - bucket.at_s) * self._rate)
        bucket.at_s = now_s
        while len(self._buckets) >= MOST_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[caller] = bucket
        if bucket.left < cost:
            raise again_after(TOO_MANY_REQUESTS, ceil((cost - bucket.left) / self._rate))
        bucket.left -= cost
