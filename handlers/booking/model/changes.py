"""Changes of a booking that stands: another time, another lane, others who shoot along."""

from __future__ import annotations

from collections.abc import Sequence

from bus.service import Effect, Given
from handlers.booking.commands import (
    AddParticipant,
    BookSession,
    RemoveParticipant,
    RescheduleBooking,
    TransferBooking,
)
from handlers.booking.events import BookingTransferred, ParticipantAdded, ParticipantRemoved
from handlers.booking.model.bookings import cancellation_fee, check_free, check_weapon, hold, known
from handlers.booking.model.rules import (
    AskedBefore,
    BeingRescheduled,
    CapacityExceeded,
    HasBegun,
    InstructorsTransfer,
    LaneUnknown,
    NoSuchParticipant,
    NotToReschedule,
    NotToTransfer,
    OtherDiscipline,
    OtherRange,
    ParticipantNotEntitled,
    ParticipantsFixed,
    ParticipantTwice,
    TooLateToReschedule,
)
from handlers.booking.model.states import INSTRUCTORS, STAFF, Booking, Rescheduling, ShareCase, State


def reschedule_booking(asked: Rescheduling, command: RescheduleBooking, given: Given) -> Sequence[Effect]:
    """Hold the new time for the same shooter; from here on it is a booking like any other."""
    booking = known(asked.case, given)
    terms = booking.terms
    if asked.wish.taken:
        raise AskedBefore
    if booking.state is not State.CONFIRMED:
        raise NotToReschedule(state=booking.state)
    if booking.being_replaced:
        raise BeingRescheduled
    if given.at >= terms.starts_at:
        raise HasBegun(starts=booking.clock(terms.starts_at))
    if cancellation_fee(booking, given.asked_at) and not asked.case.staff.asked_by(STAFF, given):
        raise TooLateToReschedule(starts=booking.clock(terms.starts_at))
    wished = BookSession(
        booking=command.replacement,
        person=terms.person,
        lane=command.lane,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        weapon_class=terms.weapon_class,
        weapon_type=terms.weapon_type,
        rounds=terms.rounds,
        participants=terms.participants,
        calibre=terms.calibre,
        energy_j=terms.energy_j,
    )
    return hold(asked.wish, wished, given, booking)


def add_participant(asked: ShareCase, command: AddParticipant, given: Given) -> Sequence[Effect]:
    booking = _to_share(asked, given)
    terms, lane = booking.terms, asked.lane
    if command.participant in {terms.person, *terms.participants}:
        raise ParticipantTwice
    if lane is None:
        raise LaneUnknown(lane=terms.lane)
    shooters = 2 + len(terms.participants)
    if shooters > lane.capacity:
        raise CapacityExceeded(lane=lane.lane, capacity=lane.capacity, asked=shooters)
    if not asked.entitled:
        raise ParticipantNotEntitled(participant=command.participant, weapon_class=terms.weapon_class)
    check_free(asked.clash, lane)
    return [ParticipantAdded(booking=command.booking, person=terms.person, participant=command.participant)]


def remove_participant(asked: ShareCase, command: RemoveParticipant, given: Given) -> Sequence[Effect]:
    booking = _to_share(asked, given)
    if command.participant not in booking.terms.participants:
        raise NoSuchParticipant
    return [ParticipantRemoved(booking=command.booking, person=booking.terms.person, participant=command.participant)]


def _to_share(asked: ShareCase, given: Given) -> Booking:
    booking = known(asked.case, given)
    if booking.state not in {State.CONFIRMED, State.CHECKED_IN}:
        raise ParticipantsFixed(state=booking.state)
    if booking.being_replaced:
        raise BeingRescheduled
    return booking


def transfer_booking(asked: Rescheduling, command: TransferBooking, given: Given) -> Sequence[Effect]:
    booking = known(asked.case, given)
    terms, lane = booking.terms, asked.wish.lane
    if not asked.case.staff.asked_by(INSTRUCTORS, given):
        raise InstructorsTransfer
    if booking.state not in {State.CONFIRMED, State.CHECKED_IN}:
        raise NotToTransfer(state=booking.state)
    if booking.being_replaced:
        raise BeingRescheduled
    if lane is None:
        raise LaneUnknown(lane=command.lane)
    if lane.range != terms.range:
        raise OtherRange(lane=lane.lane)
    if lane.discipline != terms.discipline:
        raise OtherDiscipline(lane=lane.lane, discipline=lane.discipline, asked=terms.discipline)
    shooters = 1 + len(terms.participants)
    if shooters > lane.capacity:
        raise CapacityExceeded(lane=lane.lane, capacity=lane.capacity, asked=shooters)
    asked_for = {name: getattr(terms, name) for name in BookSession.model_fields}
    check_weapon(asked.wish, lane, BookSession(**asked_for))
    check_free(asked.wish.clash, lane)
    return [
        BookingTransferred(
            booking=command.booking,
            person=terms.person,
            from_lane=terms.lane,
            lane=lane.lane,
            transferred_by=given.actor,
        )
    ]
