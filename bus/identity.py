"""Identifiers that sort by the time they were made; names, never secrets."""

from __future__ import annotations

import os
import time
from uuid import UUID

_VERSION = 0x7
_VARIANT = 0b10


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=(milliseconds << 80)
        | (_VERSION << 76)
        | ((random >> 68) << 64)
        | (_VARIANT << 62)
        | (random & ((1 << 62) - 1))
    )
