"""When what a target repeats at a connection is over, and what it says is said as it happens; pure.

A target tells at once all it has stored, and shots that have just been fired follow with nothing in between. Shots that
were stored come faster than they were fired; of two that come just as far apart as the target's clock says they were
fired, the second was told as it happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.tracking.shots import Sighted

LEAST_APART_S: Final = 0.05  # what comes closer together may have been stored
EXACT_S: Final = 0.03  # how far the two clocks may disagree about it: the network's jitter, the target's hundredths


@dataclass(slots=True)
class Greeting:
    """Follows the first shots of a connection."""

    _elapsed_ms: int | None = None
    _at_s: float = 0.0

    def is_over(self, shots: Iterable[Sighted], at_s: float) -> bool:
        """Whether the last of these, which came at `at_s` on our clock, was told as it happened."""
        over = False
        for shot in shots:
            if shot.elapsed_ms is None:
                continue
            if self._elapsed_ms is not None:
                apart_s = at_s - self._at_s
                fired_apart_s = (shot.elapsed_ms - self._elapsed_ms) / 1000
                over = apart_s >= LEAST_APART_S and abs(fired_apart_s - apart_s) <= EXACT_S
            self._elapsed_ms, self._at_s = shot.elapsed_ms, at_s
        return over
