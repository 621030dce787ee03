"""Series: the same time of several weeks, on one lane or on several, held together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from bus.errors import Rejected
from bus.service import Effect, Given
from handlers.booking.commands import BookSeries, BookSession, CancelBooking, CancelSeries
from handlers.booking.events import BookingCancelled, LaneHeld, SeriesBooked, SeriesCancelled
from handlers.booking.model.bookings import cancel_booking, hold
from handlers.booking.model.hours import Span, moment_of
from handlers.booking.model.rules import (
    AskedBefore,
    BlocksByStaff,
    LaneIsClosed,
    LaneUnknown,
    NotForOthers,
    NothingOfTheSeriesFree,
    NothingToCancel,
    RangeClosed,
    SeriesRefused,
    SeriesUnknown,
    SlotTaken,
    TooManyTimes,
)
from handlers.booking.model.states import STAFF, Booking, Case, Staff, State, Wish, shown

MOST_BOOKINGS: Final = 60
LEFT_OUT: Final = (SlotTaken, LaneIsClosed, RangeClosed)


class Occurrence(NamedTuple):
    """One time of a series on one lane."""

    week: int
    lane: str
    during: Span


@dataclass(frozen=True, slots=True)
class SeriesCase:
    """All that booking a series is decided on."""

    taken: bool  # a series of this id exists
    time_zone: str | None  # of the first lane; none: there is no such lane
    wishes: Mapping[Occurrence, Wish]
    staff: Staff


@dataclass(frozen=True, slots=True)
class SeriesCancelCase:
    """All that cancelling a series is decided on."""

    bookings: Sequence[Booking]
    staff: Staff


def occurrences(asked: BookSeries, zone: ZoneInfo) -> Iterator[Occurrence]:
    """The times of a series: in each week begin and end are what the clocks of the range show in the first."""
    begins, ends = (moment.astimezone(zone) for moment in (asked.starts_at, asked.ends_at))
    for week in range(asked.weeks):
        later = timedelta(weeks=week * asked.every_weeks)
        if week == 0:
            during = Span(asked.starts_at, asked.ends_at)
        else:
            during = Span(_at(zone, begins.date() + later, begins), _at(zone, ends.date() + later, ends))
        for lane in dict.fromkeys(asked.lanes):
            yield Occurrence(week, lane, during)


def _at(zone: ZoneInfo, day: date, clock: datetime) -> datetime:
    return moment_of(zone, day, clock.hour * 60 + clock.minute)


def asked_of(asked: BookSeries, one: Occurrence) -> BookSession:
    """The booking that an occurrence is; its id follows from the series."""
    return BookSession(
        booking=uuid5(asked.series, f"{one.week}:{one.lane}"),
        person=asked.person,
        lane=one.lane,
        starts_at=one.during.starts_at,
        ends_at=one.during.ends_at,
        weapon_class=asked.weapon_class,
        weapon_type=asked.weapon_type,
        rounds=asked.rounds,
        calibre=asked.calibre,
        energy_j=asked.energy_j,
    )


def book_series(case: SeriesCase, command: BookSeries, given: Given) -> Sequence[Effect]:
    time_zone = _check_asked(case, command, given)
    effects: list[Effect] = []
    bookings: list[UUID] = []
    skipped: set[datetime] = set()
    for one, wish in case.wishes.items():
        try:
            held = hold(wish, asked_of(command, one), given)
        except LEFT_OUT as refusal:
            if not command.skip_taken:
                raise _refused(time_zone, one, refusal) from refusal
            skipped.add(one.during.starts_at)
            continue
        except Rejected as refusal:
            raise _refused(time_zone, one, refusal) from refusal
        effects += [_of_the_series(effect, command, one) for effect in held]
        bookings.append(asked_of(command, one).booking)
    if not bookings:
        raise NothingOfTheSeriesFree
    booked = SeriesBooked(
        series=command.series, person=command.person, bookings=tuple(bookings), skipped=tuple(sorted(skipped))
    )
    return [*effects, booked]


def _check_asked(case: SeriesCase, command: BookSeries, given: Given) -> str:
    """The time zone of its lanes, if this may be asked at all."""
    if case.taken:
        raise AskedBefore
    if not case.staff.asked_for(command.person, given):
        raise NotForOthers
    if len(set(command.lanes)) > 1 and not case.staff.asked_by(STAFF, given):
        raise BlocksByStaff
    asked = len(set(command.lanes)) * command.weeks
    if asked > MOST_BOOKINGS:
        raise TooManyTimes(most=MOST_BOOKINGS, asked=asked)
    if case.time_zone is None:
        raise LaneUnknown(lane=command.lanes[0])
    return case.time_zone


def _refused(time_zone: str, one: Occurrence, refusal: Rejected) -> SeriesRefused:
    return SeriesRefused(
        starts=shown(one.during.starts_at, ZoneInfo(time_zone)), lane=one.lane, reason=refusal.reason.removesuffix(".")
    )


def _of_the_series(effect: Effect, command: BookSeries, one: Occurrence) -> Effect:
    """A hold of the series: it answers for itself, and is not in the way of the same week's on other lanes."""
    if not isinstance(effect, LaneHeld):
        return effect
    return effect.model_copy(
        update={
            "terms": effect.terms.model_copy(update={"command": effect.booking}),
            "claim": uuid5(command.series, f"week:{one.week}"),
            "series": command.series,
        }
    )


def cancel_series(case: SeriesCancelCase, command: CancelSeries, given: Given) -> Sequence[Effect]:
    """Calls off what has not begun; what is at the range already, or being rescheduled, stays."""
    if not case.bookings or not case.staff.asked_for(case.bookings[0].terms.person, given):
        raise SeriesUnknown
    effects = [
        effect
        for booking in case.bookings
        if booking.state in {State.HELD, State.CONFIRMED}
        and booking.terms.starts_at > given.at
        and not booking.weapon_out
        and not booking.being_replaced
        for effect in cancel_booking(
            Case(booking, case.staff),
            CancelBooking(booking=booking.terms.booking, waive_fee=command.waive_fee),
            given,
        )
    ]
    cancelled = tuple(one.booking for one in effects if isinstance(one, BookingCancelled))
    if not cancelled:
        raise NothingToCancel
    told = SeriesCancelled(
        series=command.series,
        person=case.bookings[0].terms.person,
        bookings=cancelled,
        cancelled_by=given.actor,
    )
    return [*effects, told]
