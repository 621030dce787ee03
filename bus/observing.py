"""Being told of each transaction: how many messages it took, and for how many seconds it lasted, COMMIT included."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Observe: TypeAlias = Callable[[int, float], None]


def unobserved(_messages: int, _seconds: float) -> None:
    """Takes no note of it."""
