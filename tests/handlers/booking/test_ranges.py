"""Setting up ranges and lanes."""

import pytest

from handlers.booking.events import OpeningHours
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import ADA, ANNA, BOOK, INA, SET_UP, open_lane, person


async def test_only_administrators_set_up_ranges_and_lanes(hall: Desk) -> None:
    assert await hall.refuses(SET_UP, by=person(INA)) == "admins-only"
    assert await hall.refuses(open_lane("lane-3"), by=person(ANNA)) == "admins-only"


async def test_a_range_is_set_up_again_with_other_hours(hall: Desk) -> None:
    weekend = (OpeningHours(weekday=6, opens_minute=600, closes_minute=900),)
    await hall.hears(SET_UP.model_copy(update={"opening_hours": weekend}), by=person(ADA))
    assert await hall.refuses(BOOK, by=person(ANNA)) == "range-closed"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"time_zone": "Europe/Atlantis"}, "time-zone-unknown"),
        ({"time_zone": "../../etc/passwd" + "x" * 400}, "time-zone-unknown"),
        ({"opening_hours": (OpeningHours(weekday=1, opens_minute=60, closes_minute=60),)}, "opening-hours-backwards"),
        (
            {
                "opening_hours": (
                    OpeningHours(weekday=1, opens_minute=60, closes_minute=120),
                    OpeningHours(weekday=1, opens_minute=0, closes_minute=61),
                )
            },
            "opening-hours-overlap",
        ),
    ],
)
async def test_an_unsound_range_is_refused(desk: Desk, changes: dict[str, object], rule: str) -> None:
    assert await desk.refuses(SET_UP.model_copy(update=changes)) == rule


async def test_a_lane_stands_in_one_range_that_exists(hall: Desk) -> None:
    assert await hall.refuses(open_lane("lane-9", range="nowhere")) == "range-unknown"
    await hall.hears(SET_UP.model_copy(update={"range": "annex"}))
    assert await hall.refuses(open_lane("lane-1", range="annex")) == "lane-elsewhere"
