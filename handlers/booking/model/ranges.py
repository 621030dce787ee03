"""Setting up ranges and their lanes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from zoneinfo import available_timezones

from bus.service import Effect, Given
from handlers.booking.commands import OpenLane, SetUpRange
from handlers.booking.events import LaneOpened, OpeningHours, RangeSetUp
from handlers.booking.model.rules import (
    AdminsOnly,
    LaneElsewhere,
    OpeningHoursBackwards,
    OpeningHoursOverlap,
    RangeUnknown,
    TimeZoneUnknown,
)
from handlers.booking.model.states import ADMINS, RangeCase


def set_up_range(case: RangeCase, command: SetUpRange, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if command.time_zone not in available_timezones():
        raise TimeZoneUnknown(time_zone=command.time_zone[:64])
    hours = tuple(sorted(command.opening_hours, key=lambda span: (span.weekday, span.opens_minute)))
    _check(hours)
    return [RangeSetUp(**{**dict(command), "opening_hours": hours})]


def _check(hours: Sequence[OpeningHours]) -> None:
    for span in hours:
        if span.closes_minute <= span.opens_minute:
            raise OpeningHoursBackwards(weekday=span.weekday)
    for earlier, later in pairwise(hours):
        if earlier.weekday == later.weekday and later.opens_minute < earlier.closes_minute:
            raise OpeningHoursOverlap(weekday=later.weekday)


def open_lane(case: RangeCase, command: OpenLane, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(ADMINS, given):
        raise AdminsOnly
    if not case.range_known:
        raise RangeUnknown(range=command.range)
    if case.lane_in not in {None, command.range}:
        raise LaneElsewhere(lane=command.lane, range=case.lane_in)
    return [LaneOpened(**dict(command))]
