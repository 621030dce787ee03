"""Services that are planned into time in which a unit can be spared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from bus.errors import Rejected
from bus.message import Event
from bus.service import Effect, Given, Schedule
from handlers.armory.commands import CancelServicePlan, PlanService, PlanServiceAhead
from handlers.armory.events import ServicePlanCancelled, ServicePlanned
from handlers.armory.model.fitness import Bench, Weapon, known, restocked
from handlers.armory.model.people import who
from handlers.armory.model.register import AHEAD
from handlers.armory.model.reservations import Taken
from handlers.armory.model.times import Span, first_free

FARTHEST: Final = timedelta(days=60)  # so far ahead a free time is looked for
SOONEST: Final = timedelta(hours=1)  # a free time that was found begins no sooner
GRID: Final = timedelta(minutes=15)
AGAIN: Final = timedelta(days=1)  # where no time was free, it is looked for again


class Hours(NamedTuple):
    """When a range is open on a weekday, in its own time zone."""

    time_zone: str
    weekday: int  # ISO
    opens_minute: int
    closes_minute: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a plan must fit into: a weapon, what is taken of its type, and when somebody is there."""

    bench: Bench
    taken: Taken
    hours: Sequence[Hours] = ()  # none known: always


class PlannedAlready(Rejected):
    """A service of this weapon is planned already, from {starts_at} on; cancel it first."""


class NothingPlanned(Rejected):
    """No service of this weapon is planned."""


class PlannedInThePast(Rejected):
    """{starts_at} is past."""


class NoUnitToSpare(Rejected):
    """No {title} can be spared then: at some moment each that is fit is reserved, out or being serviced."""


def plan_service(calendar: Calendar, asked: PlanService, given: Given) -> Sequence[Event]:
    weapon = known(calendar.bench)
    if weapon.planned is not None:
        raise PlannedAlready(starts_at=weapon.planned.starts_at.isoformat(timespec="minutes"))
    lasts = timedelta(minutes=asked.minutes or weapon.kind.service_minutes)
    if asked.starts_at is None:
        during = _earliest(calendar, weapon, lasts, given.at)
    else:
        during = Span(asked.starts_at, asked.starts_at + lasts)
        if during.starts_at < given.at:
            raise PlannedInThePast(starts_at=during.starts_at.isoformat(timespec="minutes"))
        if calendar.taken.most(during, given.at) >= _spare(weapon):
            during = None
    if during is None:
        raise NoUnitToSpare(title=weapon.kind.title)
    said = ServicePlanned(
        weapon=asked.weapon,
        work=asked.work,
        starts_at=during.starts_at,
        ends_at=during.ends_at,
        planned_by=who(given),
    )
    return [said, *restocked(weapon, replace(weapon, planned=during))]


def cancel_service_plan(bench: Bench, asked: CancelServicePlan, given: Given) -> Sequence[Event]:
    weapon = known(bench)
    if weapon.planned is None:
        raise NothingPlanned
    said = ServicePlanCancelled(weapon=asked.weapon, cancelled_by=who(given))
    return [said, *restocked(weapon, replace(weapon, planned=None))]


def plan_service_ahead(calendar: Calendar, asked: PlanServiceAhead, given: Given) -> Sequence[Effect]:
    """A weapon that will soon be due gets a time for its service while it is still fit."""
    weapon = calendar.bench.weapon
    if weapon is None or not weapon.fit or weapon.planned is not None or not _soon_due(weapon, given.at):
        return []
    during = _earliest(calendar, weapon, timedelta(minutes=weapon.kind.service_minutes), given.at)
    if during is None:
        return [Schedule(f"service-ahead:{asked.weapon}", given.at + AGAIN, asked)]
    said = ServicePlanned(
        weapon=asked.weapon, work="inspected", starts_at=during.starts_at, ends_at=during.ends_at, planned_by=None
    )
    return [said, *restocked(weapon, replace(weapon, planned=during))]


def _soon_due(weapon: Weapon, at: datetime) -> bool:
    return weapon.worn or (weapon.service_due_at is not None and weapon.service_due_at - AHEAD <= at)


def _spare(weapon: Weapon) -> int:
    """How many units there are to take from, this one among them: one that is not fit will be when it is back."""
    return weapon.kind.units + (not weapon.fit)


def _earliest(calendar: Calendar, weapon: Weapon, lasts: timedelta, at: datetime) -> Span | None:
    """The first free time within opening hours, on a grid of quarters of an hour."""
    begin = at + SOONEST
    begin += (datetime.min.replace(tzinfo=UTC) - begin) % GRID
    spans = calendar.taken.spans(at)
    for open_ in open_times(calendar.hours, Span(begin, at + FARTHEST)):
        found = first_free(spans, _spare(weapon), lasts, open_)
        if found is not None:
            return found
    return None


def open_times(hours: Sequence[Hours], within: Span) -> Iterator[Span]:
    """When a range is open within a time, in order of their beginnings; with no hours known, all of it."""
    if not hours:
        yield within
        return
    found = []
    for zone, weekday, opens, closes in hours:
        day = (within.starts_at - timedelta(days=1)).date()
        while day <= (within.ends_at + timedelta(days=1)).date():
            if day.isoweekday() == weekday:
                midnight = datetime.combine(day, time.min, ZoneInfo(zone))
                wall = (midnight + timedelta(minutes=minute) for minute in (opens, closes))  # as its clocks show it
                starts_at, ends_at = (moment.astimezone(UTC) for moment in wall)
                found.append(Span(max(starts_at, within.starts_at), min(ends_at, within.ends_at)))
            day += timedelta(days=1)
    yield from sorted(span for span in found if span.starts_at < span.ends_at)
