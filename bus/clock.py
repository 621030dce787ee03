"""The one place that asks this machine what time it is; decisions take theirs from the database."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
