"""A session at the range: check-in, start, finish."""

from datetime import timedelta

import pytest

from bus.service import Unschedule
from handlers.booking.commands import CheckIn, FinishSession, StartSession
from handlers.booking.events import SessionFinished, SessionStarted, ShooterCheckedIn
from handlers.booking.model import rules
from handlers.booking.model.hours import Span
from handlers.booking.model.sessions import check_in, finish_session, start_session
from handlers.booking.model.states import Booking, Clash, StartCase, State
from tests.handlers.booking.examples import (
    ANNA,
    BEN,
    BOOKING,
    CARL,
    INA,
    TERMS,
    booked,
    case,
    clock,
    person,
)
from tests.handlers.scenario import given

CHECK_IN = CheckIn(booking=BOOKING)
START = StartSession(booking=BOOKING)
FINISH = FinishSession(booking=BOOKING)
STARTED = SessionStarted(booking=BOOKING, person=ANNA, lane="lane-1", discipline="air-pistol-10m", started_at=clock(14))
READY = booked(State.CHECKED_IN, weapon_out=True)


def start(
    booking: Booking, *, lane_in_use: bool = False, shooter_in_session: bool = False, before: Clash | None = None
) -> StartCase:
    return StartCase(case(booking), lane_in_use, shooter_in_session, before)


@pytest.mark.parametrize("who", [ANNA, INA])
def test_a_shooter_is_checked_in_and_no_longer_waited_for(who: object) -> None:
    given(case(booked(State.CONFIRMED)), at=clock(13), actor=f"person:{who}").when(check_in, CHECK_IN).then(
        ShooterCheckedIn(booking=BOOKING, person=ANNA, terms=TERMS, checked_in_at=clock(13)),
        Unschedule(f"no-show:{BOOKING}"),
    )


def test_check_in_is_open_from_as_early_as_configured_to_the_end() -> None:
    confirmed = case(booked(State.CONFIRMED))
    a_second = timedelta(seconds=1)
    early = given(confirmed, at=clock(13) - a_second, actor=person(ANNA)).when(check_in, CHECK_IN)
    early.then_refused(rules.CheckInNotOpen, opens="2026-06-01 13:00 UTC")
    assert given(confirmed, at=clock(15) - a_second, actor=person(ANNA)).when(check_in, CHECK_IN).refusal is None
    given(confirmed, at=clock(15), actor=person(ANNA)).when(check_in, CHECK_IN).then_refused(rules.TimeOver)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CONFIRMED])
def test_only_a_confirmed_booking_is_checked_in(state: State) -> None:
    given(case(booked(state)), at=clock(14), actor=person(ANNA)).when(check_in, CHECK_IN).then_refused(
        rules.NotConfirmed, state=state
    )


def test_a_session_begins_with_the_weapon_in_hand() -> None:
    given(start(READY), at=clock(14), actor=person(ANNA)).when(start_session, START).then(STARTED)
    empty_handed = booked(State.CHECKED_IN)
    given(start(empty_handed), at=clock(14), actor=person(ANNA)).when(start_session, START).then_refused(
        rules.WeaponNotIssued
    )


def test_ones_own_weapon_is_not_waited_for() -> None:
    own = booked(State.CHECKED_IN, own_weapon=True)
    given(start(own), at=clock(14), actor=person(ANNA)).when(start_session, START).then(STARTED)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CHECKED_IN])
def test_only_who_checked_in_begins(state: State) -> None:
    given(start(booked(state)), at=clock(14), actor=person(ANNA)).when(start_session, START).then_refused(
        rules.NotCheckedIn, state=state
    )


def test_a_session_does_not_begin_after_its_time() -> None:
    given(start(READY), at=clock(15), actor=person(ANNA)).when(start_session, START).then_refused(rules.TimeOver)


def test_a_session_waits_until_the_lane_and_the_shooter_are_free() -> None:
    given(start(READY, lane_in_use=True), at=clock(14), actor=person(ANNA)).when(start_session, START).then_refused(
        rules.LaneInUse, lane="lane-1"
    )
    busy = start(READY, shooter_in_session=True)
    given(busy, at=clock(14), actor=person(ANNA)).when(start_session, START).then_refused(rules.ShooterInSession)


def test_a_session_begins_early_unless_another_booking_comes_first() -> None:
    before = Clash("lane-1", Span(clock(13), clock(13, 30)))
    early = given(start(READY, before=before), at=clock(13, 10), actor=person(ANNA))
    early.when(start_session, START).then_refused(rules.StartTooEarly, until="2026-06-01 13:30 UTC")
    after = given(start(READY, before=before), at=clock(13, 30), actor=person(ANNA))
    after.when(start_session, START).then(STARTED.model_copy(update={"started_at": clock(13, 30)}))


def test_the_instructor_finishes_the_session() -> None:
    given(case(booked(State.IN_USE)), at=clock(15), actor=person(INA)).when(finish_session, FINISH).then(
        SessionFinished(booking=BOOKING, person=ANNA, lane="lane-1", finished_at=clock(15), finished_by=person(INA))
    )


def test_neither_the_shooter_nor_the_cashier_finishes_the_session() -> None:
    shooting = case(booked(State.IN_USE))
    given(shooting, actor=person(ANNA)).when(finish_session, FINISH).then_refused(rules.InstructorsOnly)
    given(shooting, actor=person(CARL)).when(finish_session, FINISH).then_refused(rules.InstructorsOnly)
    given(shooting, actor=person(BEN)).when(finish_session, FINISH).then_refused(rules.BookingUnknown)


def test_a_session_is_not_finished_while_the_weapon_is_out() -> None:
    out = booked(State.IN_USE, weapon_out=True)
    given(case(out), actor=person(INA)).when(finish_session, FINISH).then_refused(rules.WeaponStillOut)


@pytest.mark.parametrize("state", [state for state in State if state is not State.IN_USE])
def test_only_a_session_that_began_is_finished(state: State) -> None:
    given(case(booked(state)), actor=person(INA)).when(finish_session, FINISH).then_refused(rules.NotInUse, state=state)
