"""Cease fire on all lanes of a range, and the end of it."""

from __future__ import annotations

from collections.abc import Sequence

from bus.service import Effect, Given
from handlers.booking.commands import CeaseFire, ResumeFire
from handlers.booking.events import CeaseFireOrdered, FireResumed
from handlers.booking.model.rules import CeaseFireHolds, NoCeaseFire, RangeOfficersOnly, RangeUnknown, StaffOnly
from handlers.booking.model.states import INSTRUCTORS, STAFF, FiringCase


def cease_fire(case: FiringCase, command: CeaseFire, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(STAFF, given):
        raise StaffOnly
    if case.time_zone is None:
        raise RangeUnknown(range=command.range)
    if case.ceased is not None:
        raise CeaseFireHolds(since=case.ceased.shown)
    return [
        CeaseFireOrdered(
            range=command.range,
            cease_fire=given.id,
            lanes=case.lanes,
            reason=command.reason,
            ordered_by=given.actor,
            ordered_at=given.asked_at,
        )
    ]


def resume_fire(case: FiringCase, command: ResumeFire, given: Given) -> Sequence[Effect]:
    if not case.staff.asked_by(INSTRUCTORS, given):
        raise RangeOfficersOnly
    if case.ceased is None:
        raise NoCeaseFire
    return [
        FireResumed(
            range=command.range,
            cease_fire=case.ceased.cease_fire,
            resumed_by=given.actor,
            resumed_at=max(given.at, case.ceased.since),
        )
    ]
