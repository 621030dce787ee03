"""Opening hours and slots on real days of real time zones (invariant 4)."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.booking.events import OpeningHours
from handlers.booking.model.hours import (
    Span,
    is_open,
    is_whole_slots,
    moment_of,
    open_spans,
    open_spans_around,
    slots_of,
)
from tests.handlers.booking.examples import ALL_DAY, unhurried

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
# Changes by half an hour, at midnight, by skipping a whole day, by less time in summer, and the usual ones.
ZONES = [
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "UTC",
]


def length_of(zone: ZoneInfo, day: date) -> timedelta:
    return moment_of(zone, day, 1440) - moment_of(zone, day, 0)


@cache
def odd_days(name: str) -> list[date]:
    first = date(2005, 1, 1)
    days = (first + n * DAY for n in range(25 * 365))
    return [day for day in days if length_of(ZoneInfo(name), day) != DAY] or [first]


@st.composite
def days(draw: st.DrawFn) -> tuple[ZoneInfo, date]:
    name = draw(st.sampled_from(ZONES))
    any_day = st.dates(date(2005, 1, 1), date(2035, 1, 1))
    return ZoneInfo(name), draw(st.sampled_from(odd_days(name)) | any_day)


@st.composite
def hours(draw: st.DrawFn) -> tuple[OpeningHours, ...]:
    """The same opening hours for every weekday: spans that do not overlap on the clock."""
    minutes = st.integers(0, 1440) | st.sampled_from([0, 60, 120, 150, 180, 1440])
    bounds = sorted(draw(st.sets(minutes, min_size=2, max_size=8)))
    touching = draw(st.booleans())
    pairs = pairwise(bounds) if touching else zip(bounds[::2], bounds[1::2], strict=False)
    return tuple(
        OpeningHours(weekday=weekday, opens_minute=opens, closes_minute=closes)
        for weekday in range(1, 8)
        for opens, closes in pairs
    )


def test_a_range_that_is_open_all_day_has_23_24_or_25_hours_of_slots() -> None:
    half_hour = timedelta(minutes=30)
    assert len(slots_of(ALL_DAY, BERLIN, half_hour, date(2026, 3, 29))) == 46
    assert len(slots_of(ALL_DAY, BERLIN, half_hour, date(2026, 6, 1))) == 48
    assert len(slots_of(ALL_DAY, BERLIN, half_hour, date(2026, 10, 25))) == 50


def test_opening_hours_are_what_the_clocks_show() -> None:
    nine_to_five = (OpeningHours(weekday=7, opens_minute=9 * 60, closes_minute=17 * 60),)
    summer = open_spans(nine_to_five, BERLIN, date(2026, 3, 29))
    winter = open_spans(nine_to_five, BERLIN, date(2026, 3, 22))
    assert summer == [Span(datetime(2026, 3, 29, 7, tzinfo=UTC), datetime(2026, 3, 29, 15, tzinfo=UTC))]
    assert winter == [Span(datetime(2026, 3, 22, 8, tzinfo=UTC), datetime(2026, 3, 22, 16, tzinfo=UTC))]
    assert open_spans(nine_to_five, BERLIN, date(2026, 3, 28)) == []


def test_hours_that_the_clocks_skip_begin_and_end_with_the_change() -> None:
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert moment_of(BERLIN, date(2026, 3, 29), 120) == change
    assert moment_of(BERLIN, date(2026, 3, 29), 150) == change
    assert moment_of(BERLIN, date(2026, 3, 29), 180) == change


def test_a_day_that_a_zone_skips_has_no_opening_hours() -> None:
    assert open_spans(ALL_DAY, ZoneInfo("Pacific/Apia"), date(2011, 12, 30)) == []


@unhurried
@given(days(), st.integers(0, 1440), st.integers(0, 1440))
@example((BERLIN, date(2026, 3, 29)), 150, 180)
def test_time_never_runs_backwards_while_the_clock_goes_on(
    zone_day: tuple[ZoneInfo, date], one: int, other: int
) -> None:
    earlier, later = sorted((one, other))
    assert moment_of(*zone_day, earlier) <= moment_of(*zone_day, later)


@unhurried
@given(days(), st.integers(0, 1439))
def test_the_clock_shows_the_minute_unless_it_is_skipped(zone_day: tuple[ZoneInfo, date], minute: int) -> None:
    zone, day = zone_day
    moment = moment_of(zone, day, minute)
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 - a clock's reading
    shown = moment.astimezone(zone).replace(tzinfo=None)
    if shown != wall:
        just_before = (moment - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
        assert just_before < wall < shown


@unhurried
@given(days())
def test_a_day_ends_when_the_next_begins(zone_day: tuple[ZoneInfo, date]) -> None:
    zone, day = zone_day
    assert moment_of(zone, day, 1440) == moment_of(zone, day + DAY, 0)


@unhurried
@given(days(), hours())
@example(
    (BERLIN, date(2026, 3, 29)),
    (
        OpeningHours(weekday=7, opens_minute=60, closes_minute=150),
        OpeningHours(weekday=7, opens_minute=180, closes_minute=600),
    ),
)
def test_hours_that_do_not_overlap_on_the_clock_do_not_overlap_in_time(
    zone_day: tuple[ZoneInfo, date], opening: tuple[OpeningHours, ...]
) -> None:
    zone, day = zone_day
    spans = [span for n in range(-1, 2) for span in open_spans(opening, zone, day + n * DAY)]
    assert all(span.starts_at < span.ends_at for span in spans)
    assert all(one.ends_at <= other.starts_at for one, other in pairwise(spans))


@unhurried
@given(days(), hours(), st.integers(1, 240))
def test_every_slot_is_as_long_as_any_other_and_within_the_opening_hours(
    zone_day: tuple[ZoneInfo, date], opening: tuple[OpeningHours, ...], minutes: int
) -> None:
    slot = timedelta(minutes=minutes)
    spans = open_spans(opening, *zone_day)
    slots = slots_of(opening, zone_day[0], slot, zone_day[1])
    assert all(one.ends_at - one.starts_at == slot for one in slots)
    assert all(any(s.starts_at <= one.starts_at and one.ends_at <= s.ends_at for s in spans) for one in slots)
    left_over = sum((s.ends_at - s.starts_at for s in spans), timedelta()) - len(slots) * slot
    assert timedelta() <= left_over <= len(spans) * slot


@unhurried
@given(days(), hours(), st.integers(5, 240), st.data())
def test_what_can_be_booked_is_a_chain_of_slots_and_nothing_else(
    zone_day: tuple[ZoneInfo, date], opening: tuple[OpeningHours, ...], minutes: int, data: st.DataObject
) -> None:
    zone, day = zone_day
    slot = timedelta(minutes=minutes)
    grid = [one for n in range(-1, 3) for one in slots_of(opening, zone, slot, day + n * DAY)]
    start_of = {one.starts_at: one.ends_at for one in grid}
    edges = sorted({*start_of, *start_of.values()}) or [datetime(day.year, day.month, day.day, tzinfo=UTC)]
    shift = data.draw(st.sampled_from([0, 0, 0, 1, -1]))
    starts = data.draw(st.sampled_from(edges)) + timedelta(minutes=shift)
    ends = data.draw(st.sampled_from(edges))
    if not starts < ends <= starts + timedelta(hours=8):
        return
    reached = starts
    while reached < ends and reached in start_of:
        reached = start_of[reached]
    asked = Span(starts, ends)
    spans = open_spans_around(opening, zone, asked)
    assert is_whole_slots(spans, slot, asked) == (reached == ends)
    assert is_open(spans, asked) or not is_whole_slots(spans, slot, asked)


def test_a_range_that_never_closes_can_be_booked_over_midnight() -> None:
    asked = Span(datetime(2026, 6, 1, 21, 30, tzinfo=UTC), datetime(2026, 6, 1, 22, 30, tzinfo=UTC))
    spans = open_spans_around(ALL_DAY, BERLIN, asked)
    assert is_open(spans, asked)
    assert is_whole_slots(spans, timedelta(minutes=30), asked)
