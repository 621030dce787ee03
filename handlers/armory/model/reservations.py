"""Weapons reserved by type: how many can be kept for others at once, and why one cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.errors import Rejected
from bus.fields import LATEST
from handlers.armory.model.register import WeaponType, WeaponTypeUnknown
from handlers.armory.model.times import Span, most_at_once


@dataclass(frozen=True, slots=True)
class Taken:
    """When units of a type are kept for others or for a service; for the spans in `out` one is in somebody's hands."""

    kept: tuple[Span, ...] = ()
    out: tuple[Span, ...] = ()

    def most(self, during: Span, at: datetime) -> int:
        """How many units at most are taken at one moment of a time, as things stand at `at`."""
        within = (
            Span(max(span.starts_at, during.starts_at), min(span.ends_at, during.ends_at)) for span in self.spans(at)
        )
        return most_at_once(span for span in within if span.starts_at < span.ends_at)

    def spans(self, at: datetime) -> list[Span]:
        """A unit that is out past its end is taken until it comes back, and nobody knows when that is."""
        overdue = (Span(span.starts_at, LATEST) if span.ends_at <= at else span for span in self.out)
        return [*self.kept, *overdue]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request for a weapon meets: its type, and when units of it are taken by others around that time."""

    open: bool  # the booking has not ended, and the armory has not answered it yet
    weapon_type: WeaponType | None
    taken: Taken
    lane_classes: frozenset[str] | None = None  # that are shot on the lane; none: it was not told yet


@dataclass(frozen=True, slots=True)
class Reservation:
    """A unit of a type, kept for a shooter for a time, which begins with the issue if that is earlier."""

    person: UUID
    weapon_type: str
    during: Span


class WeaponOfAnotherClass(Rejected):
    """{title} is a weapon of the class {weapon_class}; the booking is for {asked}."""


class WeaponNotForLane(Rejected):
    """{title} is a weapon of the class {weapon_class}, which is not shot on lane {lane}."""


class NoUnitFit(Rejected):
    """No {title} is fit for use at present."""


class NoWeaponFree(Rejected):
    """No {title} is free for all of that time: at some moment each of the {units} is reserved, out or in service."""


def why_not(
    demand: Demand, weapon_type: str, weapon_class: str, lane: str, during: Span, at: datetime
) -> Rejected | None:
    """Why no unit of the type can be kept for that time, as things stand at `at`, if so."""
    kind = demand.weapon_type
    if kind is None:
        return WeaponTypeUnknown(weapon_type=weapon_type)
    if kind.weapon_class != weapon_class:
        return WeaponOfAnotherClass(title=kind.title, weapon_class=kind.weapon_class, asked=weapon_class)
    if demand.lane_classes is not None and weapon_class not in demand.lane_classes:
        return WeaponNotForLane(title=kind.title, weapon_class=weapon_class, lane=lane)
    if kind.units == 0:
        return NoUnitFit(title=kind.title)
    if demand.taken.most(during, at) >= kind.units:
        return NoWeaponFree(title=kind.title, units=kind.units)
    return None
