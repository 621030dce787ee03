"""A session at the range: check-in, start, finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bus.service import Effect, Given, Unschedule
from handlers.booking.commands import CheckIn, FinishSession, StartSession
from handlers.booking.events import OvertimeCharged, SessionFinished, SessionStarted, ShooterCheckedIn
from handlers.booking.model.bookings import known, no_show_key
from handlers.booking.model.rules import (
    BeingRescheduled,
    CeaseFireHolds,
    CheckInNotOpen,
    InstructorsOnly,
    LaneInUse,
    NotCheckedIn,
    NotConfirmed,
    NotEntitledAnyMore,
    NotInUse,
    ShooterInSession,
    StartTooEarly,
    TimeOver,
    WeaponNotIssued,
    WeaponStillOut,
)
from handlers.booking.model.states import INSTRUCTORS, Booking, Case, StartCase, State


def check_in(case: Case, command: CheckIn, given: Given) -> Sequence[Effect]:
    booking = known(case, given)
    terms = booking.terms
    if booking.state is not State.CONFIRMED:
        raise NotConfirmed(state=booking.state)
    if booking.being_replaced:
        raise BeingRescheduled
    if given.at < terms.starts_at - booking.early_check_in:
        raise CheckInNotOpen(opens=booking.clock(terms.starts_at - booking.early_check_in))
    if given.at >= terms.ends_at:
        raise TimeOver(ended=booking.clock(terms.ends_at))
    return [
        ShooterCheckedIn(booking=command.booking, person=terms.person, terms=terms, checked_in_at=given.at),
        Unschedule(no_show_key(command.booking)),
    ]


def start_session(start: StartCase, command: StartSession, given: Given) -> Sequence[Effect]:
    """Begin, also before the time booked, as long as that takes the lane from nobody."""
    booking = known(start.case, given)
    terms = booking.terms
    if booking.state is not State.CHECKED_IN:
        raise NotCheckedIn(state=booking.state)
    if given.at >= terms.ends_at:
        raise TimeOver(ended=booking.clock(terms.ends_at))
    if booking.entitlement_lost:
        raise NotEntitledAnyMore
    if terms.weapon_type is not None and not booking.weapon_out:
        raise WeaponNotIssued
    if start.ceased is not None:
        raise CeaseFireHolds(since=start.ceased.shown)
    if start.lane_in_use:
        raise LaneInUse(lane=terms.lane)
    if start.shooter_in_session:
        raise ShooterInSession
    if start.before is not None and start.before.during.ends_at > given.at:
        raise StartTooEarly(lane=start.before.lane, until=booking.clock(start.before.during.ends_at))
    return [
        SessionStarted(
            booking=command.booking,
            person=terms.person,
            lane=terms.lane,
            discipline=terms.discipline,
            started_at=given.at,
        )
    ]


def finish_session(case: Case, command: FinishSession, given: Given) -> Sequence[Effect]:
    booking = known(case, given)
    if not case.staff.asked_by(INSTRUCTORS, given):
        raise InstructorsOnly
    if booking.state is not State.IN_USE:
        raise NotInUse(state=booking.state)
    if booking.weapon_out:
        raise WeaponStillOut
    finished = SessionFinished(
        booking=command.booking,
        person=booking.terms.person,
        lane=booking.terms.lane,
        finished_at=given.at,
        finished_by=given.actor,
    )
    return [*_overtime(booking, given.at), finished]


def _overtime(booking: Booking, finished_at: datetime) -> Sequence[OvertimeCharged]:
    """What a session lasted beyond its time, if that is more than the grace: all of it, in minutes that were begun."""
    grace, over = booking.policy.overtime_grace_minutes, finished_at - booking.terms.ends_at
    if grace is None or over <= timedelta(minutes=grace):
        return []
    minutes = -(-over // timedelta(minutes=1))
    return [
        OvertimeCharged(booking=booking.terms.booking, terms=booking.terms, minutes=minutes, finished_at=finished_at)
    ]
