from datetime import UTC, datetime

from simulation.opening import opening_hours


def test_hours_of_one_day():
    opens = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
    assert opening_hours(opens, opens.replace(hour=13)) == [{"weekday": 1, "opens_minute": 750, "closes_minute": 810}]


def test_hours_over_midnight_are_those_of_two_days():
    opens, closes = datetime(2026, 6, 7, 23, 50, tzinfo=UTC), datetime(2026, 6, 8, 0, 10, tzinfo=UTC)
    assert opening_hours(opens, closes) == [
        {"weekday": 7, "opens_minute": 1430, "closes_minute": 1440},
        {"weekday": 1, "opens_minute": 0, "closes_minute": 10},
    ]


def test_hours_until_midnight_end_with_the_day():
    opens, closes = datetime(2026, 6, 7, 23, 50, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)
    assert opening_hours(opens, closes) == [{"weekday": 7, "opens_minute": 1430, "closes_minute": 1440}]
