"""Being told of the work as it is done.

Of each transaction: how many messages it took, and for how many seconds it lasted, COMMIT included. Of each batch: for
how many seconds its oldest message had waited to be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Observe: TypeAlias = Callable[[int, float], None]
Delivered: TypeAlias = Callable[[float], None]


def unobserved(_messages: int, _seconds: float) -> None:
    """Takes no note of it."""


def untold(_waited_s: float) -> None:
    """Takes no note of it."""
