"""Invariants 1 and 2 of handlers/armory/README.md, against a count of every single minute."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bus.service import Given
from handlers.armory.events import ReservationReleased, WeaponReserved
from handlers.armory.model.register import WeaponType
from handlers.armory.model.reservations import Demand, Reservation, Taken
from handlers.armory.model.times import Span, first_free, most_at_once
from handlers.armory.reactions import release, reserve
from tests.handlers.armory.made import ANNA, DURING, booking, cancelled, terms, validated
from tests.handlers.scenario import NOON

GIVEN = Given(at=NOON, id=booking(0), correlation=booking(0), actor="service:auth")
MINUTE = timedelta(minutes=1)
spans = st.tuples(st.integers(0, 20), st.integers(1, 10)).map(
    lambda pair: Span(NOON + pair[0] * MINUTE, NOON + (pair[0] + pair[1]) * MINUTE)
)


def at_minute(kept: list[Span], minute: int) -> int:
    return sum(span.starts_at <= NOON + minute * MINUTE < span.ends_at for span in kept)


@given(st.lists(spans))
def test_the_most_at_once_is_what_the_fullest_minute_counts(kept: list[Span]) -> None:
    assert most_at_once(kept) == max(at_minute(kept, minute) for minute in range(31))


@given(st.lists(spans, max_size=12), st.integers(0, 3), st.integers(1, 6), st.integers(0, 12), st.integers(0, 25))
def test_the_first_free_time_is_the_first_in_which_no_minute_has_all_units_taken(
    kept: list[Span], units: int, lasts: int, begins: int, long: int
) -> None:
    within = Span(NOON + begins * MINUTE, NOON + (begins + long) * MINUTE)
    free = (
        start
        for start in range(begins, begins + long - lasts + 1)
        if all(at_minute(kept, minute) < units for minute in range(start, start + lasts))
    )
    start = next(free, None)
    expected = None if start is None else Span(NOON + start * MINUTE, NOON + (start + lasts) * MINUTE)
    assert first_free(kept, units, lasts * MINUTE, within) == expected


@given(st.integers(0, 3), st.lists(st.tuples(spans, st.booleans()), max_size=12))
def test_no_more_units_are_kept_than_are_fit_and_none_is_refused_that_is_free(
    units: int, requests: list[tuple[Span, bool]]
) -> None:
    kept: dict[int, Span] = {}
    for number, (span, and_cancelled) in enumerate(requests):
        touching = tuple(one for one in kept.values() if one.starts_at < span.ends_at and span.starts_at < one.ends_at)
        demand = Demand(
            open=True, weapon_type=WeaponType("air-rifle", "air", "Air rifle", units), taken=Taken(touching)
        )
        asked = terms(number, starts_at=span.starts_at, lasts=span.ends_at - span.starts_at)
        (answer,) = reserve(demand, validated(asked), GIVEN)

        minutes = range((span.starts_at - NOON) // MINUTE, (span.ends_at - NOON) // MINUTE)
        free = all(at_minute(list(kept.values()), minute) < units for minute in minutes)
        assert isinstance(answer, WeaponReserved) == free
        if free:
            kept[number] = span
        if and_cancelled:
            state = Reservation(ANNA, "air-rifle", DURING) if number in kept else None
            said = release(state, cancelled(number), GIVEN)
            assert [type(one) for one in said] == [ReservationReleased] * (kept.pop(number, None) is not None)
        assert all(at_minute(list(kept.values()), minute) <= units for minute in range(31))
