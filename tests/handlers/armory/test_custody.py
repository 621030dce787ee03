from dataclasses import replace
from datetime import datetime

import pytest

from bus.errors import Rejected
from handlers.armory.commands import IssueWeapon, ReturnWeapon
from handlers.armory.events import (
    UNNUMBERED,
    WeaponIssued,
    WeaponReturned,
)
from handlers.armory.model.ammunition import AmmunitionShort, Stocked
from handlers.armory.model.custody import (
    BookingHoldsWeapon,
    Counter,
    Loan,
    MoreReturnedThanIssued,
    NotCheckedIn,
    NotEntitled,
    NothingReserved,
    PromisedToOthers,
    ReservationOver,
    WeaponNotOut,
    WeaponOfAnotherType,
    WeaponOut,
    issue_weapon,
    return_weapon,
)
from handlers.armory.model.fitness import WeaponUnknown
from handlers.armory.model.people import HandedToOneself, NobodyAtTheCounter
from handlers.armory.model.reservations import Reservation, Taken
from handlers.armory.model.times import Span
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    CARLA,
    DURING,
    HOUR,
    RIFLE,
    booking,
    weapon,
)
from tests.handlers.scenario import NOON, given

COUNTER = Counter(
    weapon=RIFLE,
    out=False,
    reservation=Reservation(ANNA, "air-rifle", DURING),
    checked_in=True,
    booking_holds_one=False,
    stock=[Stocked(UNNUMBERED, 100)],
    taken=Taken(),
    entitled=[Span(NOON - 2 * HOUR, NOON + 2 * HOUR)],
)
LOAN = Loan(booking(1), ANNA, rounds=40, issued_at=NOON, weapon=RIFLE)
ISSUE = IssueWeapon(booking=booking(1), weapon=weapon(1), rounds=40)
RETURN = ReturnWeapon(booking=booking(1), weapon=weapon(1), rounds_returned=15)


def test_a_weapon_is_handed_by_the_armourer_to_the_shooter_it_is_kept_for() -> None:
    given(COUNTER, actor=AT_COUNTER).when(issue_weapon, ISSUE).then(
        WeaponIssued(
            weapon=weapon(1),
            booking=booking(1),
            handed_to=ANNA,
            handed_by=CARLA,
            rounds=40,
            issued_at=NOON,
            lot=UNNUMBERED,
        )
    )


@pytest.mark.parametrize(
    ("counter", "rule"),
    [
        (replace(COUNTER, weapon=None), WeaponUnknown),
        (replace(COUNTER, reservation=None), NothingReserved),
        (replace(COUNTER, reservation=Reservation(ANNA, "air-pistol", DURING)), WeaponOfAnotherType),
        (replace(COUNTER, checked_in=False), NotCheckedIn),
        (replace(COUNTER, out=True), WeaponOut),
        (replace(COUNTER, entitled=[]), NotEntitled),
        (replace(COUNTER, entitled=[Span(NOON - HOUR, NOON)]), NotEntitled),
        (replace(COUNTER, booking_holds_one=True), BookingHoldsWeapon),
        (replace(COUNTER, stock=[Stocked(UNNUMBERED, 39)]), AmmunitionShort),
        (replace(COUNTER, reservation=Reservation(CARLA, "air-rifle", DURING)), HandedToOneself),
    ],
)
def test_a_weapon_is_not_issued_against_the_rules(counter: Counter, rule: type[Rejected]) -> None:
    given(counter, actor=AT_COUNTER).when(issue_weapon, ISSUE).then_refused(rule)


def test_a_weapon_is_issued_by_a_person() -> None:
    given(COUNTER, actor="service:booking").when(issue_weapon, ISSUE).then_refused(NobodyAtTheCounter)
    given(LOAN, actor="service:booking").when(return_weapon, RETURN).then_refused(NobodyAtTheCounter)


def test_the_last_cartridges_in_stock_can_be_issued() -> None:
    decided = given(replace(COUNTER, stock=[Stocked(UNNUMBERED, 40)]), actor=AT_COUNTER).when(issue_weapon, ISSUE)
    assert decided.refusal is None


@pytest.mark.parametrize(
    ("now", "returned_at"), [(NOON + HOUR, NOON + HOUR), (NOON - HOUR, NOON)], ids=["later", "the clock stepped back"]
)
def test_what_does_not_come_back_was_fired(now: datetime, returned_at: datetime) -> None:
    given(LOAN, actor=AT_COUNTER, at=now).when(return_weapon, RETURN).then(
        WeaponReturned(
            weapon=weapon(1),
            booking=booking(1),
            returned_by=ANNA,
            taken_by=CARLA,
            rounds_returned=15,
            rounds_fired=25,
            returned_at=returned_at,
        )
    )


@pytest.mark.parametrize(
    ("loan", "rule"),
    [
        (None, WeaponNotOut),
        (replace(LOAN, booking=booking(2)), WeaponNotOut),
        (replace(LOAN, rounds=14), MoreReturnedThanIssued),
        (replace(LOAN, holder=CARLA), HandedToOneself),
    ],
)
def test_a_weapon_is_not_taken_back_against_the_rules(loan: Loan | None, rule: type[Rejected]) -> None:
    given(loan, actor=AT_COUNTER).when(return_weapon, RETURN).then_refused(rule)


EARLY = NOON - HOUR


@pytest.mark.parametrize(
    "taken",
    [
        Taken(kept=(Span(EARLY, NOON),)),  # one of two units
        Taken(kept=(Span(EARLY, NOON - HOUR / 2), Span(NOON - HOUR / 2, NOON)), out=(Span(NOON, NOON + HOUR),)),
        Taken(kept=(Span(NOON, NOON + HOUR), Span(NOON, NOON + HOUR))),  # when the reservation holds, it holds
    ],
)
def test_a_weapon_goes_out_early_if_that_takes_it_from_nobody(taken: Taken) -> None:
    decided = given(replace(COUNTER, taken=taken), actor=AT_COUNTER, at=EARLY).when(issue_weapon, ISSUE)
    assert decided.refusal is None


@pytest.mark.parametrize(
    "taken",
    [
        Taken(kept=(Span(EARLY, NOON), Span(NOON - HOUR / 2, NOON))),
        Taken(kept=(Span(EARLY, NOON),), out=(Span(EARLY, NOON + HOUR),)),
        Taken(kept=(Span(EARLY, NOON),), out=(Span(EARLY - HOUR, EARLY),)),  # late: who knows when it comes back
    ],
)
def test_a_weapon_does_not_go_out_early_if_all_are_promised_to_others(taken: Taken) -> None:
    given(replace(COUNTER, taken=taken), actor=AT_COUNTER, at=EARLY).when(issue_weapon, ISSUE).then_refused(
        PromisedToOthers, units=2, weapon_type="air-rifle"
    )


def test_a_weapon_is_not_issued_after_the_time_it_was_reserved_for() -> None:
    given(COUNTER, actor=AT_COUNTER, at=NOON + HOUR).when(issue_weapon, ISSUE).then_refused(ReservationOver)
