"""A booking from the wish to its confirmation, refusal, cancellation or release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never
from uuid import UUID

from bus.errors import Rejected
from bus.service import Effect, Given, Schedule, Unschedule
from handlers.booking.commands import BookSession, CancelBooking, ExpireHold, ReleaseNoShow, RescheduleBooking
from handlers.booking.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    CancellationFeeCharged,
    CommandRejected,
    LaneHeld,
    NoShowReleased,
    Terms,
)
from handlers.booking.model.hours import Span, closing_after, is_open, is_whole_slots, open_spans_around
from handlers.booking.model.rules import (
    AskedBefore,
    BeingRescheduled,
    BookingUnknown,
    CalibreNotOnLane,
    CalibreNotSaid,
    CancelledWhileHeld,
    CapacityExceeded,
    EndsBeforeStart,
    EnergyNotSaid,
    HoldAlreadyAnswered,
    HoldExpired,
    LaneIsClosed,
    LaneNotForClass,
    LaneUnknown,
    NotForOthers,
    NothingToRelease,
    NoticeTooShort,
    NotWholeSlots,
    OnlyStaffWaivesFees,
    ParticipantNotEntitled,
    ParticipantTwice,
    RangeClosed,
    ShooterElsewhere,
    SlotTaken,
    StartsTooLate,
    TimePast,
    TooFarAhead,
    TooLateToCancel,
    TooLong,
    TooMuchEnergy,
    WeaponStillOut,
    WeaponTypeOfOtherClass,
    WeaponTypeUnknown,
)
from handlers.booking.model.states import STAFF, Booking, Case, Clash, Lane, Staff, State, Wish, shown

Service = Literal["auth", "booking", "armory", "payment"]

LONGEST: Final = timedelta(hours=8)
SPOKEN: Final = {
    "auth": "the licence check (auth)",
    "armory": "the armoury (armory)",
    "payment": "the cash desk (payment)",
}


def hold_key(booking: UUID) -> str:
    return f"hold:{booking}"


def no_show_key(booking: UUID) -> str:
    return f"no-show:{booking}"


def book_session(wish: Wish, command: BookSession, given: Given) -> Sequence[Effect]:
    if wish.taken:
        raise AskedBefore
    if not wish.staff.asked_for(command.person, given):
        raise NotForOthers
    return hold(wish, command, given)


def hold(wish: Wish, command: BookSession, given: Given, replaced: Booking | None = None) -> Sequence[Effect]:
    """Keep a lane for a wish, if it can be granted; a booking that it replaces is not in its way, and stands."""
    lane = wish.lane
    if lane is None:
        raise LaneUnknown(lane=command.lane)
    check_weapon(wish, lane, command)
    _check_participants(wish, lane, command)
    _check_time(wish.staff, lane, command, given)
    check_free(wish.clash, lane)
    no_show_at = command.starts_at + lane.no_show_after
    # A shooter whose booking is still unanswered cannot be called missing, on the old booking neither.
    held_until = min(given.at + lane.hold, no_show_at)
    if replaced is not None:
        held_until = min(held_until, replaced.terms.starts_at)
    terms = Terms(
        booking=command.booking,
        command=given.id,
        person=command.person,
        range=lane.range,
        lane=lane.lane,
        discipline=lane.discipline,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        weapon_class=command.weapon_class,
        weapon_type=command.weapon_type,
        rounds=command.rounds,
        replaces=None if replaced is None else replaced.terms.booking,
        participants=command.participants,
        calibre=command.calibre,
        energy_j=command.energy_j,
    )
    taken = lane.taken(Span(command.starts_at, command.ends_at))
    return [
        LaneHeld(
            booking=command.booking,
            terms=terms,
            held_until=held_until,
            no_show_at=no_show_at,
            claim=None if replaced is None else replaced.claim or replaced.terms.booking,
            taken_from=taken.starts_at if taken.starts_at < command.starts_at else None,
            taken_until=taken.ends_at if taken.ends_at > command.ends_at else None,
        ),
        Schedule(hold_key(command.booking), held_until, ExpireHold(booking=command.booking)),
    ]


def check_weapon(wish: Wish, lane: Lane, command: BookSession) -> None:
    weapon_class = wish.weapon_class
    if command.weapon_class not in lane.weapon_classes:
        raise LaneNotForClass(weapon_class=command.weapon_class, lane=lane.lane)
    if command.weapon_type is None:
        _check_own_weapon(lane, command)
        return
    if weapon_class is None:
        raise WeaponTypeUnknown(weapon_type=command.weapon_type)
    if weapon_class != command.weapon_class:
        raise WeaponTypeOfOtherClass(
            weapon_type=command.weapon_type, weapon_class=weapon_class, asked=command.weapon_class
        )
    if lane.calibres and wish.calibre not in lane.calibres:
        calibres = ", ".join(sorted(lane.calibres))
        raise CalibreNotOnLane(calibre=wish.calibre or command.weapon_type, lane=lane.lane, calibres=calibres)


def _check_own_weapon(lane: Lane, command: BookSession) -> None:
    if lane.calibres:
        if command.calibre is None:
            raise CalibreNotSaid(lane=lane.lane)
        if command.calibre not in lane.calibres:
            calibres = ", ".join(sorted(lane.calibres))
            raise CalibreNotOnLane(calibre=command.calibre, lane=lane.lane, calibres=calibres)
    if lane.most_energy_j is not None:
        if command.energy_j is None:
            raise EnergyNotSaid(lane=lane.lane, most_energy_j=lane.most_energy_j)
        if command.energy_j > lane.most_energy_j:
            raise TooMuchEnergy(energy_j=command.energy_j, lane=lane.lane, most_energy_j=lane.most_energy_j)


def _check_participants(wish: Wish, lane: Lane, command: BookSession) -> None:
    everybody = (command.person, *command.participants)
    if len(set(everybody)) < len(everybody):
        raise ParticipantTwice
    if len(everybody) > lane.capacity:
        raise CapacityExceeded(lane=lane.lane, capacity=lane.capacity, asked=len(everybody))
    for participant in command.participants:
        if participant in wish.not_entitled:
            raise ParticipantNotEntitled(participant=participant, weapon_class=command.weapon_class)


def _check_time(staff: Staff, lane: Lane, command: BookSession, given: Given) -> None:
    asked = Span(command.starts_at, command.ends_at)
    if asked.ends_at <= asked.starts_at:
        raise EndsBeforeStart
    if asked.starts_at < given.at:
        raise TimePast(starts=shown(asked.starts_at, lane.zone))
    policy = lane.policy
    notice = timedelta(minutes=policy.minimum_notice_minutes)
    if asked.starts_at < given.asked_at + notice and not staff.asked_by(STAFF, given):
        raise NoticeTooShort(minutes=policy.minimum_notice_minutes)
    if asked.starts_at > given.at + timedelta(days=policy.horizon_days):
        raise TooFarAhead(days=policy.horizon_days)
    if asked.ends_at - asked.starts_at > LONGEST:
        raise TooLong(hours=LONGEST // timedelta(hours=1))
    spans = open_spans_around(lane.opening_hours, lane.zone, asked, policy)
    if not is_open(spans, asked):
        raise RangeClosed(starts=shown(asked.starts_at, lane.zone), ends=shown(asked.ends_at, lane.zone))
    if not is_whole_slots(spans, lane.slot, asked):
        raise NotWholeSlots(minutes=lane.slot // timedelta(minutes=1))
    latest = closing_after(spans, asked.starts_at) - timedelta(minutes=policy.last_start_minutes)
    if asked.starts_at > latest:
        raise StartsTooLate(minutes=policy.last_start_minutes, latest=shown(latest, lane.zone))


def check_free(clash: Clash | None, lane: Lane) -> None:
    if clash is None:
        return
    starts, ends = (shown(moment, lane.zone) for moment in clash.during)
    if clash.closed:
        raise LaneIsClosed(lane=clash.lane, starts=starts, ends=ends)
    if clash.lane == lane.lane:
        raise SlotTaken(lane=lane.lane, starts=starts, ends=ends)
    raise ShooterElsewhere(lane=clash.lane, starts=starts, ends=ends)


def confirm(booking: Booking | None, invoice: UUID, total_minor: int, currency: str) -> Sequence[Effect]:
    """The last of the others has agreed. A booking that was given up meanwhile stays so; one replaced gives way."""
    if booking is None or booking.state is not State.HELD:
        return []
    id_, replaced = booking.terms.booking, booking.terms.replaces
    gives_way: list[Effect] = []
    if replaced is not None and booking.replaced_stands:
        gone = BookingCancelled(
            booking=replaced, person=booking.terms.person, cancelled_by="service:booking", replaced_by=id_
        )
        gives_way = [gone, Unschedule(no_show_key(replaced))]
    return [
        *gives_way,
        BookingConfirmed(
            booking=id_,
            command=booking.terms.command,
            terms=booking.terms,
            invoice=invoice,
            total_minor=total_minor,
            currency=currency,
        ),
        Unschedule(hold_key(id_)),
        Schedule(no_show_key(id_), booking.no_show_at, ReleaseNoShow(booking=id_)),
    ]


def refuse(booking: Booking | None, refused_by: Service, rule: str, rule_version: int, reason: str) -> Sequence[Effect]:
    """One of the others has said no; the lane is free again."""
    if booking is None or booking.state is not State.HELD:
        return []
    return [
        BookingRejected(
            booking=booking.terms.booking,
            command=booking.terms.command,
            refused_by=refused_by,
            rule=rule,
            rule_version=rule_version,
            reason=reason,
        ),
        Unschedule(hold_key(booking.terms.booking)),
    ]


def expire_hold(booking: Booking | None, _: ExpireHold, __: Given) -> Sequence[Effect]:
    if booking is None or booking.state is not State.HELD:
        raise HoldAlreadyAnswered
    expired = HoldExpired(until=booking.clock(booking.held_until), waiting_for=SPOKEN[_waiting_for(booking)])
    return refuse(booking, "booking", expired.rule, expired.version, expired.reason)


def _waiting_for(booking: Booking) -> Service:
    """Who is to answer next: they are asked one after the other."""
    if "auth" not in booking.agreed:
        return "auth"
    if booking.terms.weapon_type is not None and "armory" not in booking.agreed:
        return "armory"
    return "payment"


def release_no_show(booking: Booking | None, _: ReleaseNoShow, __: Given) -> Sequence[Effect]:
    if booking is None:
        raise BookingUnknown
    if booking.state is not State.CONFIRMED:
        raise NothingToRelease(state=booking.state)
    return [NoShowReleased(booking=booking.terms.booking, person=booking.terms.person)]


def cancel_booking(case: Case, command: CancelBooking, given: Given) -> Sequence[Effect]:
    booking = known(case, given)
    if command.waive_fee and not case.staff.asked_by(STAFF, given):
        raise OnlyStaffWaivesFees
    if booking.being_replaced:
        raise BeingRescheduled
    if booking.weapon_out:
        raise WeaponStillOut
    cancelled = BookingCancelled(booking=command.booking, person=booking.terms.person, cancelled_by=given.actor)
    match booking.state:
        case State.HELD:
            return [_answer_to(booking, CancelledWhileHeld()), cancelled, Unschedule(hold_key(command.booking))]
        case State.CONFIRMED | State.CHECKED_IN:
            fees = [] if command.waive_fee else cancellation_fee(booking, given.asked_at)
            return [*fees, cancelled, Unschedule(no_show_key(command.booking))]
        case State.IN_USE | State.FINISHED | State.REJECTED | State.CANCELLED | State.NO_SHOW:
            raise TooLateToCancel(state=booking.state)
        case _:
            assert_never(booking.state)


def cancellation_fee(booking: Booking, at: datetime) -> Sequence[CancellationFeeCharged]:
    """What calling a booking off at this moment costs by the range's rules, if anything."""
    notice = max(timedelta(), booking.terms.starts_at - at)
    permille = max(
        (fee.permille for fee in booking.policy.cancellation_fees if notice < timedelta(minutes=fee.notice_minutes)),
        default=0,
    )
    amount_minor = ((booking.total_minor or 0) * permille + 500) // 1000
    if not amount_minor or booking.currency is None:
        return []
    return [
        CancellationFeeCharged(
            booking=booking.terms.booking,
            terms=booking.terms,
            notice_minutes=notice // timedelta(minutes=1),
            permille=permille,
            amount_minor=amount_minor,
            currency=booking.currency,
        )
    ]


def _answer_to(booking: Booking, rule: Rejected) -> CommandRejected:
    """Tell whoever waits for the booking that it will not be confirmed."""
    return CommandRejected(
        command=booking.terms.command,
        asked=(BookSession if booking.terms.replaces is None else RescheduleBooking).name,
        about=f"booking:{booking.terms.booking}",
        refused_by="booking",
        rule=rule.rule,
        rule_version=rule.version,
        reason=rule.reason,
    )


def known(case: Case, given: Given) -> Booking:
    """The booking, for those who may know of it; to others it looks as if there were none."""
    if case.booking is None or not case.staff.asked_for(case.booking.terms.person, given):
        raise BookingUnknown
    return case.booking
