"""Times, and how many of them share a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A time from its start up to, and without, its end."""

    starts_at: datetime
    ends_at: datetime

    def meets(self, other: Span) -> bool:
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


def most_at_once(spans: Iterable[Span]) -> int:
    """The largest number of spans that share one moment."""
    most = now = 0
    for _, change in _turns(spans):
        now += change
        most = max(most, now)
    return most


def first_free(spans: Iterable[Span], units: int, lasts: timedelta, within: Span) -> Span | None:
    """The earliest time of that length, within another, in which at no moment all units are taken."""
    free_since = within.starts_at if units > 0 else None
    now = 0
    for at, change in [*_turns(spans), (within.ends_at, max(units, 1))]:
        now += change
        if now >= units and free_since is not None:
            if min(at, within.ends_at) - free_since >= lasts:
                return Span(free_since, free_since + lasts)
            free_since = None
        elif now < units and free_since is None:
            free_since = max(at, within.starts_at)
    return None


def _turns(spans: Iterable[Span]) -> list[tuple[datetime, int]]:
    """When a span begins or ends. One that ends as another begins does not meet it, so at equal times ends go first."""
    return sorted(turn for span in spans for turn in ((span.starts_at, 1), (span.ends_at, -1)))
