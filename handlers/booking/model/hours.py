"""When a range is open: the opening hours of a weekday laid on a real day of a time zone, cut into slots.

Opening hours are wall-clock times, slots are real time: on a day of 23 or 25 hours a range that is open all day
has fewer or more slots, and every slot is as long as any other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from holidays import country_holidays

from handlers.booking.events import Holidays, OpeningHours, Policy

YEARS_REMEMBERED: Final = 64
NO_EXCEPTIONS: Final = Policy()


class Span(NamedTuple):
    """A half-open span of real time, in UTC."""

    starts_at: datetime
    ends_at: datetime


def moment_of(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """When the clocks of the zone show this minute of the day for the first time; if they skip it, when they skip.

    It never falls as `minute` grows, so spans that do not overlap on the clock do not overlap in time.
    """
    wall = datetime.combine(day, time.min) + timedelta(minutes=minute)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        return first
    # Skipped: with the offset of before it lies after the change, with that of after it lies before.
    offset = second.astimezone(zone).utcoffset()
    seconds = range(int(second.timestamp()), int(first.timestamp()))
    changed = bisect_left(seconds, 1, key=lambda at: datetime.fromtimestamp(at, zone).utcoffset() != offset)
    return datetime.fromtimestamp(seconds.start + changed, UTC)


@lru_cache(YEARS_REMEMBERED)
def holidays_of(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """The public holidays of a year. Raises NotImplementedError for what has none that are known."""
    return frozenset(country_holidays(country, subdiv=subdivision, years=year))


def is_holiday(holidays: Holidays, day: date) -> bool:
    return day in holidays_of(holidays.country, holidays.subdivision, day.year)


def minutes_open(hours: Iterable[OpeningHours], policy: Policy, day: date) -> list[tuple[int, int]]:
    """When the clocks of the range say it is open that day: its exceptions come first, then holidays, then weekdays."""
    exception = next((one for one in policy.exceptions if one.day == day), None)
    if exception is not None:
        return [(span.opens_minute, span.closes_minute) for span in exception.open]
    if policy.holidays is not None and is_holiday(policy.holidays, day):
        return [(span.opens_minute, span.closes_minute) for span in policy.holidays.open]
    return [(span.opens_minute, span.closes_minute) for span in hours if span.weekday == day.isoweekday()]


def open_spans(hours: Iterable[OpeningHours], zone: ZoneInfo, day: date, policy: Policy = NO_EXCEPTIONS) -> list[Span]:
    """The times of a local day at which the range is open, in order."""
    spans = (
        Span(moment_of(zone, day, opens), moment_of(zone, day, closes))
        for opens, closes in minutes_open(hours, policy, day)
    )
    return sorted(span for span in spans if span.starts_at < span.ends_at)


def open_spans_around(
    hours: Sequence[OpeningHours], zone: ZoneInfo, asked: Span, policy: Policy = NO_EXCEPTIONS
) -> list[Span]:
    """The open spans of all local days that the time asked for touches, and of the days beside them."""
    first = asked.starts_at.astimezone(zone).date() - timedelta(days=1)
    last = asked.ends_at.astimezone(zone).date() + timedelta(days=1)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [span for day in days for span in open_spans(hours, zone, day, policy)]


def closing_after(spans: Iterable[Span], moment: datetime) -> datetime:
    """When the range that is open at a moment closes; spans that touch, as at midnight, count as one."""
    reached = moment
    for span in spans:
        if span.starts_at <= reached < span.ends_at:
            reached = span.ends_at
    return reached


def slots_of(
    hours: Iterable[OpeningHours], zone: ZoneInfo, slot: timedelta, day: date, policy: Policy = NO_EXCEPTIONS
) -> list[Span]:
    """The slots of a local day, in order. What is left at a span's end is no slot."""
    return [
        Span(span.starts_at + n * slot, span.starts_at + (n + 1) * slot)
        for span in open_spans(hours, zone, day, policy)
        for n in range((span.ends_at - span.starts_at) // slot)
    ]


def is_open(spans: Iterable[Span], asked: Span) -> bool:
    """Whether the range is open the whole time; spans that touch, as at midnight, count as one."""
    reached = asked.starts_at
    for span in spans:
        if span.starts_at <= reached < span.ends_at:
            reached = span.ends_at
    return reached >= asked.ends_at


def most_at_once(spans: Sequence[Span]) -> int:
    """The largest number of spans that share one moment; there is one at which one of them begins."""
    return max((sum(one.starts_at <= span.starts_at < one.ends_at for one in spans) for span in spans), default=0)


def is_whole_slots(spans: Iterable[Span], slot: timedelta, asked: Span) -> bool:
    """Whether the time is one slot or several, one directly after the other."""
    reached = asked.starts_at
    for span in spans:
        if span.starts_at <= reached < span.ends_at and (reached - span.starts_at) % slot == timedelta():
            last_slot_ends = span.starts_at + (span.ends_at - span.starts_at) // slot * slot
            if asked.ends_at <= last_slot_ends:
                return (asked.ends_at - span.starts_at) % slot == timedelta()
            if last_slot_ends < span.ends_at:
                return False
            reached = span.ends_at
    return False
