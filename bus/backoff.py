"""How long to wait before trying again."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 60.0
DOUBLINGS: Final = 30  # more would only overflow: a process may fail thousands of times while a database is away


def full_jitter(attempt: int, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> float:
    """Seconds to wait after the given failed attempt (1, 2, …): exponential, with full jitter."""
    doublings = min(attempt - 1, DOUBLINGS)
    return random.uniform(0, min(longest_s, first_s * 2**doublings))  # noqa: S311 - no secret
