"""Setting up ranges and their lanes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from bus.service import Effect, Given
from handlers.booking.commands import CloseLane, OpenLane, ReopenLane, SetUpRange
from handlers.booking.events import (
    LaneClosed,
    LaneOpened,
    LaneReopened,
    OpeningHours,
    OpenSpan,
    Policy,
    RangeSetUp,
)
from handlers.booking.model.hours import holidays_of
from handlers.booking.model.rules import (
    AdminsOnly,
    ClosureMeetsBooking,
    ClosureUnknown,
    DayNamedTwice,
    EndsBeforeStart,
    HolidaysUnknown,
    LaneElsewhere,
    LaneUnknown,
    OpeningHoursBackwards,
    OpeningHoursOverlap,
    RangeUnknown,
    TimePast,
    TimeZoneUnknown,
)
from handlers.booking.model.states import ADMINS, ClosingCase, RangeCase, shown

FIRST_YEAR: Final = 2026  # whether holidays of a place are known is asked of one year


def set_up_range(case: RangeCase, command: SetUpRange, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if command.time_zone not in available_timezones():
        raise TimeZoneUnknown(time_zone=command.time_zone[:64])
    hours = tuple(sorted(command.opening_hours, key=lambda span: (span.weekday, span.opens_minute)))
    _check(hours)
    _check_policy(command.policy)
    return [RangeSetUp(**{**dict(command), "opening_hours": hours})]


def _check(hours: Sequence[OpeningHours]) -> None:
    for span in hours:
        if span.closes_minute <= span.opens_minute:
            raise OpeningHoursBackwards(weekday=span.weekday)
    for earlier, later in pairwise(hours):
        if earlier.weekday == later.weekday and later.opens_minute < earlier.closes_minute:
            raise OpeningHoursOverlap(weekday=later.weekday)


def _check_policy(policy: Policy) -> None:
    holidays = policy.holidays
    if holidays is not None:
        try:
            holidays_of(holidays.country, holidays.subdivision, FIRST_YEAR)
        except NotImplementedError:
            place = "-".join(filter(None, (holidays.country, holidays.subdivision)))
            raise HolidaysUnknown(country=place) from None
        _check_day(holidays.open)
    for earlier, later in pairwise(sorted(one.day for one in policy.exceptions)):
        if earlier == later:
            raise DayNamedTwice(day=later)
    for exception in policy.exceptions:
        _check_day(exception.open, exception.day.isoweekday())


def _check_day(spans: Iterable[OpenSpan], weekday: int = 1) -> None:
    _check([OpeningHours(weekday=weekday, **dict(one)) for one in sorted(spans, key=lambda one: one.opens_minute)])


def close_lane(case: ClosingCase, command: CloseLane, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if case.time_zone is None:
        raise LaneUnknown(lane=command.lane)
    if command.ends_at <= command.starts_at:
        raise EndsBeforeStart
    if command.ends_at <= given.at:
        raise TimePast(starts=shown(command.starts_at, ZoneInfo(case.time_zone)))
    if case.met is not None:
        starts, ends = (shown(moment, ZoneInfo(case.time_zone)) for moment in case.met)
        raise ClosureMeetsBooking(lane=command.lane, starts=starts, ends=ends)
    return [LaneClosed(**dict(command), closed_by=given.actor)]


def reopen_lane(case: ClosingCase, command: ReopenLane, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if command.closure not in case.closures:
        raise ClosureUnknown(lane=command.lane)
    return [LaneReopened(closure=command.closure, lane=command.lane, reopened_by=given.actor)]


def open_lane(case: RangeCase, command: OpenLane, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if not case.range_known:
        raise RangeUnknown(range=command.range)
    if case.lane_in not in {None, command.range}:
        raise LaneElsewhere(lane=command.lane, range=case.lane_in)
    return [LaneOpened(**dict(command))]
