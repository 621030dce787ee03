"""A circuit breaker: whoever keeps failing is left alone for a while, and then asked by one call before all others.

purgatory, which guards the gateway's way to auth, counts failures in a row and lets everybody through to probe; a
handler's dependency is judged by the share of its last calls, and probed by one message (docs/decisions).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from bus.service import Dependency

State = Literal["closed", "open", "half-open"]


class Breaker:
    """The state of one dependency, as one process has met it, on the monotonic clock."""

    def __init__(self, dependency: Dependency, clock: Callable[[], float] = time.monotonic) -> None:
        self._on = dependency
        self._clock = clock
        self._failed: deque[bool] = deque(maxlen=dependency.of_last)
        self._probe_at = 0.0
        self._in_a_row = 0  # how often it opened without having closed
        self.state: State = "closed"

    @property
    def name(self) -> str:
        return self._on.circuit

    def lets_through(self) -> bool:
        """Whether a call may be made now. The first after the wait is the probe: its end decides."""
        if self.state == "open" and self._clock() >= self._probe_at:
            self.state = "half-open"
        return self.state != "open"

    def probe_in_s(self) -> float | None:
        """Seconds until a probe may be made; None while calls go through."""
        return max(0.0, self._probe_at - self._clock()) if self.state == "open" else None

    def succeeded(self) -> None:
        if self.state != "closed":
            self.state, self._in_a_row = "closed", 0
            self._failed.clear()
        self._failed.append(False)

    def failed(self) -> None:
        self._failed.append(True)
        enough = len(self._failed) >= self._on.at_least
        if self.state == "half-open" or (enough and sum(self._failed) >= self._on.opens_at * len(self._failed)):
            wait_s = min(self._on.longest_s, self._on.first_s * 2.0 ** min(self._in_a_row, 30))
            self.state, self._probe_at = "open", self._clock() + wait_s
            self._in_a_row += 1
