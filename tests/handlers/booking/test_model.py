"""A booking from the wish to its confirmation, refusal, cancellation or release."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bus.errors import Rejected
from bus.service import Schedule, Unschedule
from handlers.auth.events import LicenceRefused
from handlers.booking import reactions
from handlers.booking.commands import CancelBooking, ExpireHold, ReleaseNoShow
from handlers.booking.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    CommandRejected,
    LaneHeld,
    NoShowReleased,
)
from handlers.booking.model import rules
from handlers.booking.model.bookings import book_session, cancel_booking, expire_hold, release_no_show
from handlers.booking.model.hours import Span
from handlers.booking.model.states import Booking, Clash, State, Wish
from tests.handlers.booking.examples import (
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    CARL,
    HELD,
    LANE,
    TERMS,
    WISH,
    booked,
    case,
    clock,
    invoiced,
    person,
)
from tests.handlers.scenario import NOON, given

EXPIRE = ExpireHold(booking=BOOKING)
CANCEL = CancelBooking(booking=BOOKING)
RELEASE = ReleaseNoShow(booking=BOOKING)
CLOSED = [State.FINISHED, State.REJECTED, State.CANCELLED, State.NO_SHOW]


def test_a_free_lane_is_held_until_its_deadline() -> None:
    given(WISH, at=NOON, actor=person(ANNA), id_=BOOKING).when(book_session, BOOK).then(
        LaneHeld(booking=BOOKING, terms=TERMS, held_until=clock(12, 1), no_show_at=clock(14, 15)),
        Schedule(f"hold:{BOOKING}", clock(12, 1), EXPIRE),
    )


def test_a_hold_ends_before_its_shooter_could_be_called_missing() -> None:
    patient = replace(WISH, lane=replace(LANE, hold=timedelta(hours=3)))
    decided = given(patient, at=NOON, actor=person(ANNA), id_=BOOKING).when(book_session, BOOK)
    assert isinstance(decided.effects[0], LaneHeld)
    assert decided.effects[0].held_until == decided.effects[0].no_show_at == clock(14, 15)


def test_staff_may_book_for_others_and_shooters_may_not() -> None:
    assert given(WISH, actor=person(CARL)).when(book_session, BOOK).refusal is None
    given(WISH, actor=person(BEN)).when(book_session, BOOK).then_refused(rules.NotForOthers)
    given(WISH, actor="device:target-1").when(book_session, BOOK).then_refused(rules.NotForOthers)


@pytest.mark.parametrize(
    ("wish", "changes", "rule"),
    [
        (replace(WISH, taken=True), {}, rules.AskedBefore),
        (replace(WISH, lane=None), {}, rules.LaneUnknown),
        (WISH, {"weapon_class": "centrefire"}, rules.LaneNotForClass),
        (replace(WISH, weapon_class=None), {}, rules.WeaponTypeUnknown),
        (replace(WISH, weapon_class="smallbore"), {}, rules.WeaponTypeOfOtherClass),
        (WISH, {"ends_at": clock(14)}, rules.EndsBeforeStart),
        (WISH, {"ends_at": clock(13)}, rules.EndsBeforeStart),
        (WISH, {"starts_at": clock(11)}, rules.TimePast),
        (WISH, {"starts_at": clock(14).replace(year=2036), "ends_at": clock(15).replace(year=2036)}, rules.TooFarAhead),
        (WISH, {"ends_at": clock(15).replace(year=2126)}, rules.TooLong),
        (WISH, {"ends_at": clock(22, 30)}, rules.TooLong),
        (WISH, {"starts_at": clock(21, 30), "ends_at": clock(22, 30)}, rules.RangeClosed),
        (WISH, {"starts_at": clock(14, 10)}, rules.NotWholeSlots),
        (WISH, {"ends_at": clock(14, 45)}, rules.NotWholeSlots),
    ],
)
def test_what_cannot_be_booked_is_refused_by_a_rule(wish: Wish, changes: dict[str, Any], rule: type[Rejected]) -> None:
    asked = BOOK.model_copy(update=changes)
    decided = given(wish, at=NOON, actor=person(ANNA)).when(book_session, asked)
    decided.then_refused(rule)
    assert decided.refusal is not None
    assert "{" not in decided.refusal.reason


def test_ones_own_weapon_needs_no_type() -> None:
    own = BOOK.model_copy(update={"weapon_type": None})
    assert given(replace(WISH, weapon_class=None), actor=person(ANNA)).when(book_session, own).refusal is None


def test_a_taken_lane_and_a_shooter_booked_elsewhere_are_told_apart() -> None:
    during = Span(clock(14), clock(14, 30))
    taken = given(replace(WISH, clash=Clash("lane-1", during)), actor=person(ANNA)).when(book_session, BOOK)
    taken.then_refused(rules.SlotTaken, lane="lane-1", starts="2026-06-01 14:00 UTC")
    elsewhere = given(replace(WISH, clash=Clash("lane-9", during)), actor=person(ANNA)).when(book_session, BOOK)
    elsewhere.then_refused(rules.ShooterElsewhere, lane="lane-9")


def test_a_refusal_speaks_in_the_ranges_own_time() -> None:
    berlin = replace(WISH, lane=replace(LANE, time_zone="Europe/Berlin"))
    late = BOOK.model_copy(update={"starts_at": clock(20), "ends_at": clock(21)})
    given(berlin, at=NOON, actor=person(ANNA)).when(book_session, late).then_refused(
        rules.RangeClosed, starts="2026-06-01 22:00 CEST", ends="2026-06-01 23:00 CEST"
    )


def test_an_invoiced_booking_is_confirmed() -> None:
    given(HELD).when(reactions.invoice_issued, invoiced(TERMS)).then(
        BookingConfirmed(
            booking=BOOKING, command=BOOKING, terms=TERMS, invoice=BOOKING, total_minor=1190, currency="EUR"
        ),
        Unschedule(f"hold:{BOOKING}"),
        Schedule(f"no-show:{BOOKING}", clock(14, 15), RELEASE),
    )


REFUSED = LicenceRefused(
    booking=BOOKING, terms=TERMS, rule="licence-expired", rule_version=3, reason="The licence ran out."
)


def test_a_refused_booking_is_rejected_in_the_words_of_who_refused_it() -> None:
    given(HELD).when(reactions.licence_refused, REFUSED).then(
        BookingRejected(
            booking=BOOKING,
            command=BOOKING,
            refused_by="auth",
            rule="licence-expired",
            rule_version=3,
            reason="The licence ran out.",
        ),
        Unschedule(f"hold:{BOOKING}"),
    )


@pytest.mark.parametrize("state", [None, *(state for state in State if state is not State.HELD)])
def test_what_comes_for_a_booking_that_is_not_held_does_nothing(state: State | None) -> None:
    booking = None if state is None else booked(state)
    given(booking).when(reactions.invoice_issued, invoiced(TERMS)).then()
    given(booking).when(reactions.licence_refused, REFUSED).then()
    given(booking).when(expire_hold, EXPIRE).then_refused(rules.HoldAlreadyAnswered)


@pytest.mark.parametrize(
    ("booking", "waiting_for"),
    [
        (HELD, "the licence check (auth)"),
        (replace(HELD, agreed=frozenset({"auth"})), "the armoury (armory)"),
        (replace(HELD, agreed=frozenset({"auth", "armory"})), "the cash desk (payment)"),
        (replace(booked(State.HELD, own_weapon=True), agreed=frozenset({"auth"})), "the cash desk (payment)"),
    ],
)
def test_an_expired_hold_says_who_did_not_answer(booking: Booking, waiting_for: str) -> None:
    given(booking, at=clock(12, 1)).when(expire_hold, EXPIRE).then(
        BookingRejected(
            booking=BOOKING,
            command=BOOKING,
            refused_by="booking",
            rule="hold-expired",
            rule_version=1,
            reason=f"The lane was held until 2026-06-01 12:01 UTC, and by then {waiting_for} had not answered.",
        ),
        Unschedule(f"hold:{BOOKING}"),
    )


@pytest.mark.parametrize("state", [State.CONFIRMED, State.CHECKED_IN])
def test_a_booking_is_cancelled_before_its_session_begins(state: State) -> None:
    given(case(booked(state)), actor=person(ANNA)).when(cancel_booking, CANCEL).then(
        BookingCancelled(booking=BOOKING, person=ANNA, cancelled_by=person(ANNA)),
        Unschedule(f"no-show:{BOOKING}"),
    )


def test_cancelling_a_held_booking_answers_the_wish_to_book_as_well() -> None:
    given(case(HELD), actor=person(CARL)).when(cancel_booking, CANCEL).then(
        CommandRejected(
            command=BOOKING,
            asked="booking.book-session",
            about=f"booking:{BOOKING}",
            refused_by="booking",
            rule="cancelled-while-held",
            rule_version=1,
            reason="The booking was cancelled before it was confirmed.",
        ),
        BookingCancelled(booking=BOOKING, person=ANNA, cancelled_by=person(CARL)),
        Unschedule(f"hold:{BOOKING}"),
    )


@pytest.mark.parametrize("state", [State.IN_USE, *CLOSED])
def test_a_session_that_began_and_a_booking_that_is_closed_are_not_cancelled(state: State) -> None:
    given(case(booked(state)), actor=person(ANNA)).when(cancel_booking, CANCEL).then_refused(rules.TooLateToCancel)


def test_a_booking_whose_weapon_is_out_is_not_cancelled() -> None:
    out = booked(State.CHECKED_IN, weapon_out=True)
    given(case(out), actor=person(ANNA)).when(cancel_booking, CANCEL).then_refused(rules.WeaponStillOut)


def test_to_others_a_booking_looks_as_if_there_were_none() -> None:
    given(case(booked(State.CONFIRMED)), actor=person(BEN)).when(cancel_booking, CANCEL).then_refused(
        rules.BookingUnknown
    )
    given(case(None), actor=person(CARL)).when(cancel_booking, CANCEL).then_refused(rules.BookingUnknown)


def test_the_lane_of_a_shooter_who_did_not_come_is_released() -> None:
    given(booked(State.CONFIRMED), at=clock(14, 15)).when(release_no_show, RELEASE).then(
        NoShowReleased(booking=BOOKING, person=ANNA)
    )


@pytest.mark.parametrize("state", [State.HELD, State.CHECKED_IN, State.IN_USE, *CLOSED])
def test_nobody_else_is_called_missing(state: State) -> None:
    given(booked(state)).when(release_no_show, RELEASE).then_refused(rules.NothingToRelease, state=state)
