"""Series: the same time of several weeks, held together or not at all."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from handlers.booking.commands import BookSeries, CancelSeries
from handlers.booking.events import LaneHeld, SeriesBooked
from handlers.booking.model.series import occurrences
from handlers.booking.views.bookings import series
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ALL_DAY,
    ANNA,
    BEN,
    BOOK,
    INA,
    SET_UP,
    clock,
    invoiced,
    person,
    unhurried,
    validated,
)
from tests.handlers.booking.test_hours import ZONES

SERIES = UUID(int=0x5E1)
WEEK = timedelta(weeks=1)
COURSE = BookSeries(
    series=SERIES,
    person=INA,
    lanes=("lane-2", "lane-1"),
    starts_at=clock(18),
    ends_at=clock(20),
    weeks=3,
    weapon_class="air",
)
OWN = COURSE.model_copy(update={"person": ANNA, "lanes": ("lane-1",)})


async def held(desk: Desk) -> list[tuple[str, datetime]]:
    rows = await desk.connection.fetch(
        "SELECT lane, starts_at FROM booking WHERE series IS NOT NULL AND state = 'held' ORDER BY starts_at, lane"
    )
    return [(row["lane"], row["starts_at"]) for row in rows]


async def test_a_course_has_its_lanes_every_week(hall: Desk, database: Database) -> None:
    said = await hall.hears(COURSE, by=person(INA))
    told = said[-1].message
    assert isinstance(told, SeriesBooked)
    assert len(told.bookings) == len(set(told.bookings)) == 6
    assert said[-1].status == "done"
    assert await held(hall) == [(lane, clock(18) + week * WEEK) for week in range(3) for lane in ("lane-1", "lane-2")]
    assert len([key for key in await hall.scheduled() if key.startswith("hold:")]) == 6
    for message in (one.message for one in said):
        if isinstance(message, LaneHeld):
            (confirmed,) = await hall.hears(validated(message.terms), invoiced(message.terms))
            assert confirmed.message.name == "booking.booking-confirmed"
    gateway = await database.connect("gateway")
    assert {one.state for one in await series(gateway, SERIES, viewer=INA, staff=False)} == {"confirmed"}
    assert await series(gateway, SERIES, viewer=ANNA, staff=False) == []
    await gateway.close()


async def test_one_time_that_is_taken_refuses_all_of_it_and_leaves_nothing(hall: Desk) -> None:
    taken = {"person": BEN, "starts_at": clock(19) + WEEK, "ends_at": clock(20) + WEEK}
    await hall.hears(BOOK.model_copy(update=taken), by=person(BEN))
    (refused,) = await hall.hears(COURSE, by=person(INA))
    assert refused.message.rule == "series-refused"  # type: ignore[attr-defined]
    assert "2026-06-08 18:00 UTC" in refused.message.reason  # type: ignore[attr-defined]
    assert await held(hall) == []
    await hall.hears(COURSE.model_copy(update={"skip_taken": True}), by=person(INA))
    assert (len(await held(hall)), ("lane-1", clock(18) + WEEK) in await held(hall)) == (5, False)


@pytest.mark.parametrize(
    ("changes", "by", "rule"),
    [
        ({"person": ANNA}, ANNA, "blocks-by-staff"),
        ({"lanes": ("lane-1",)}, ANNA, "not-for-others"),
        ({"weeks": 31}, INA, "too-many-times"),
        ({"lanes": ("lane-9",)}, INA, "lane-unknown"),
        ({"lanes": ("lane-1", "lane-9")}, INA, "series-refused"),
        ({"weapon_class": "centrefire"}, INA, "series-refused"),
        ({"starts_at": clock(18, 10)}, INA, "series-refused"),
    ],
)
async def test_what_cannot_be_a_series(hall: Desk, changes: dict[str, Any], by: UUID, rule: str) -> None:
    assert await hall.refuses(COURSE.model_copy(update=changes), by=person(by)) == rule
    assert await held(hall) == []


async def test_who_books_the_same_series_again_is_refused(hall: Desk) -> None:
    await hall.hears(OWN, by=person(ANNA))
    assert await hall.refuses(OWN, by=person(ANNA)) == "asked-before"


async def test_what_is_to_come_of_a_series_is_called_off(hall: Desk) -> None:
    said = await hall.hears(OWN, by=person(ANNA))
    terms = [one.message.terms for one in said if isinstance(one.message, LaneHeld)]
    for one in terms[:2]:
        await hall.hears(validated(one), invoiced(one))
    hall.at = clock(18, 5)  # the first has begun
    assert await hall.refuses(CancelSeries(series=SERIES), by=person(BEN)) == "series-unknown"
    await hall.hears(CancelSeries(series=SERIES), by=person(ANNA))
    states = [await hall.state_of(one.booking) for one in terms]
    assert states == ["confirmed", "cancelled", "cancelled"]
    assert hall.answers[terms[2].booking] == ["rejected"]
    assert await hall.refuses(CancelSeries(series=SERIES), by=person(ANNA)) == "nothing-to-cancel"
    events, rows = hall.events, await hall.rows()
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows


async def test_a_series_that_goes_beyond_a_change_of_the_clocks_keeps_its_hour(hall: Desk) -> None:
    berlin = SET_UP.model_copy(update={"time_zone": "Europe/Berlin", "opening_hours": ALL_DAY})
    await hall.hears(berlin, by=person(ADA))
    start = datetime(2026, 10, 20, 16, tzinfo=UTC)
    hall.at = start - timedelta(days=1)
    asked = OWN.model_copy(update={"starts_at": start, "ends_at": start + timedelta(hours=2), "weeks": 2})
    await hall.hears(asked, by=person(ANNA))
    assert [at for _, at in await held(hall)] == [start, start + WEEK + timedelta(hours=1)]


@unhurried
@for_all(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - a clock's reading
    st.integers(1, 16),
    st.integers(1, 53),
    st.integers(1, 4),
)
def test_every_week_the_clocks_show_the_same_unless_they_skip_it(
    name: str, start: datetime, quarters: int, weeks: int, every: int
) -> None:
    zone = ZoneInfo(name)
    starts_at = start.replace(second=0, microsecond=0, tzinfo=UTC)
    asked = OWN.model_copy(
        update={
            "starts_at": starts_at,
            "ends_at": starts_at + quarters * timedelta(minutes=15),
            "weeks": weeks,
            "every_weeks": every,
        }
    )
    times = [one.during for one in occurrences(asked, zone)]
    assert len(times) == weeks
    assert times[0] == (asked.starts_at, asked.ends_at)
    first = starts_at.astimezone(zone)
    for n, (begins, _) in enumerate(times[1:], start=1):
        seen = begins.astimezone(zone)
        day = first.date() + n * every * WEEK
        there = {
            first.replace(year=day.year, month=day.month, day=day.day, fold=fold).astimezone(UTC) for fold in (0, 1)
        }
        skipped = all(at.astimezone(zone).time() != first.time() for at in there)
        assert skipped or (seen.date(), seen.time()) == (day, first.time())
