"""Whether a weapon can be handed out: quarantine, and maintenance by rounds actually fired and by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Effect, Given, Schedule
from handlers.armory.commands import (
    FindServiceDue,
    PlanServiceAhead,
    QuarantineWeapon,
    ReleaseWeapon,
    ServiceWeapon,
    SetServiceInterval,
)
from handlers.armory.events import (
    ServiceFellDue,
    ServiceIntervalSet,
    WeaponQuarantined,
    WeaponReleased,
    WeaponServiced,
)
from handlers.armory.model.people import who
from handlers.armory.model.register import WeaponType, WeaponTypeUnknown, service_timers, stocked
from handlers.armory.model.times import Span

WORN_TENTHS: Final = 8  # of the rounds after which a service is due; from then on one is planned


@dataclass(frozen=True, slots=True)
class Weapon:
    """A weapon of the register, and what it has been through."""

    kind: WeaponType
    calibre: str
    quarantine: str | None = None  # why
    rounds_fired: int = 0
    rounds_since_service: int = 0
    service_after_rounds: int | None = None  # as for all of its type
    service_from: datetime | None = None  # when it was last serviced, or came; none: before that was written down
    service_due_at: datetime | None = None
    overdue: bool = False  # that time is over
    planned: Span | None = None  # a service
    barrel: int = 1
    barrel_rounds: int = 0
    gone: Literal["lost", "retired"] | None = None

    @property
    def due(self) -> bool:
        return self.overdue or (
            self.service_after_rounds is not None and self.rounds_since_service >= self.service_after_rounds
        )

    @property
    def fit(self) -> bool:
        return self.gone is None and self.quarantine is None and not self.due

    @property
    def away(self) -> tuple[Span, ...]:
        """When it is fit, and yet not there."""
        return (self.planned,) if self.planned is not None and self.fit else ()

    @property
    def worn(self) -> bool:
        """It has fired most of what it may before its next service."""
        limit = self.service_after_rounds
        return limit is not None and self.rounds_since_service * 10 >= limit * WORN_TENTHS

    def after(self, fired: int) -> Weapon:
        """The same weapon after so many rounds more, or fewer if they were counted wrongly."""
        return replace(self, rounds_since_service=max(0, self.rounds_since_service + fired))


@dataclass(frozen=True, slots=True)
class Bench:
    """A weapon that something is to be done with."""

    weapon: Weapon | None
    out: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """All weapons of a type."""

    kind: WeaponType | None
    weapons: Mapping[UUID, Weapon]


class WeaponUnknown(Rejected):
    """This weapon is not in the register."""


class WeaponRetiredBefore(Rejected):
    """This weapon has left the register."""


class WeaponIsLost(Rejected):
    """This weapon was reported lost; enter first that it is here again."""


class WeaponInQuarantine(Rejected):
    """This weapon is in quarantine ({reason}); it is not handed out before it is released."""


class ServiceDue(Rejected):
    """This weapon has fired {rounds} rounds since its last service; with {limit} it must be serviced first."""


class ServiceOverdue(Rejected):
    """This weapon was to be serviced before {due_at}; that must be done first."""


class QuarantinedAlready(Rejected):
    """This weapon is in quarantine already ({reason})."""


class NotInQuarantine(Rejected):
    """This weapon is not in quarantine."""


class OutForService(Rejected):
    """This weapon is out; it can be serviced once it is back."""


def must_be_there(weapon: Weapon) -> None:
    if weapon.gone == "retired":
        raise WeaponRetiredBefore
    if weapon.gone == "lost":
        raise WeaponIsLost


def must_be_fit(weapon: Weapon, at: datetime) -> None:
    must_be_there(weapon)
    if weapon.quarantine is not None:
        raise WeaponInQuarantine(reason=weapon.quarantine)
    if weapon.service_due_at is not None and weapon.service_due_at <= at:
        raise ServiceOverdue(due_at=weapon.service_due_at.isoformat(timespec="minutes"))
    if weapon.due:
        raise ServiceDue(rounds=weapon.rounds_since_service, limit=weapon.service_after_rounds)


def restocked(before: Weapon, after: Weapon) -> list[Event]:
    """How many units of the type are fit from now on, and when some are away, if that has changed."""
    kind = before.kind
    away = [*kind.away]
    for span in before.away:
        away.remove(span)
    return stocked(kind, kind.units + after.fit - before.fit, [*away, *after.away])


def used(weapon_id: UUID, before: Weapon, after: Weapon, at: datetime) -> list[Effect]:
    """What follows from rounds fired: one unit less that is fit, or a service to be planned soon."""
    soon = after.worn and not before.worn and after.fit and after.planned is None
    timer = Schedule(f"service-ahead:{weapon_id}", at, PlanServiceAhead(weapon=weapon_id))
    return [*restocked(before, after), *([timer] if soon else [])]


def quarantine_weapon(bench: Bench, asked: QuarantineWeapon, given: Given) -> Sequence[Event]:
    weapon = known(bench)
    if weapon.quarantine is not None:
        raise QuarantinedAlready(reason=weapon.quarantine)
    said = WeaponQuarantined(
        weapon=asked.weapon, reason=asked.reason, quarantined_by=who(given), quarantined_at=given.at
    )
    return [said, *restocked(weapon, replace(weapon, quarantine=asked.reason))]


def release_weapon(bench: Bench, asked: ReleaseWeapon, given: Given) -> Sequence[Event]:
    weapon = known(bench)
    if weapon.quarantine is None:
        raise NotInQuarantine
    said = WeaponReleased(weapon=asked.weapon, released_by=who(given), released_at=given.at)
    return [said, *restocked(weapon, replace(weapon, quarantine=None))]


def service_weapon(bench: Bench, asked: ServiceWeapon, given: Given) -> Sequence[Effect]:
    weapon = known(bench)
    if bench.out:
        raise OutForService
    said = WeaponServiced(
        weapon=asked.weapon,
        work=asked.work,
        rounds_fired=weapon.rounds_fired,
        rounds_since_service=weapon.rounds_since_service,
        serviced_by=who(given),
        serviced_at=given.at,
        barrel=weapon.barrel,
        barrel_rounds=weapon.barrel_rounds,
        next_due_at=weapon.kind.service_due(given.at),
    )
    good = replace(weapon, rounds_since_service=0, overdue=False, service_due_at=said.next_due_at, planned=None)
    return [said, *restocked(weapon, good), *service_timers(asked.weapon, said.next_due_at)]


def set_service_interval(fleet: Fleet, asked: SetServiceInterval, given: Given) -> Sequence[Effect]:
    if fleet.kind is None:
        raise WeaponTypeUnknown(weapon_type=asked.weapon_type)
    said = ServiceIntervalSet(**asked.model_dump(), set_at=given.at)
    kind = replace(fleet.kind, service_after_days=asked.days)
    weapons = {one: _under(weapon, kind, asked.rounds, given.at) for one, weapon in fleet.weapons.items()}
    away = [span for weapon in weapons.values() for span in weapon.away]
    timers = [
        timer
        for one, weapon in weapons.items()
        if not weapon.overdue
        for timer in service_timers(one, weapon.service_due_at)
    ]
    return [said, *stocked(fleet.kind, sum(weapon.fit for weapon in weapons.values()), away), *timers]


def _under(weapon: Weapon, kind: WeaponType, rounds: int | None, at: datetime) -> Weapon:
    """A weapon of a type whose interval was set anew."""
    due_at = kind.service_due(weapon.service_from or at)
    return replace(
        weapon, service_after_rounds=rounds, service_due_at=due_at, overdue=due_at is not None and due_at <= at
    )


def find_service_due(bench: Bench, asked: FindServiceDue, given: Given) -> Sequence[Effect]:
    """The time for a service may have been moved, or the service done, since this was scheduled."""
    weapon = bench.weapon
    if weapon is None or weapon.gone is not None or weapon.service_due_at is None or weapon.overdue:
        return []
    if weapon.service_due_at > given.at:
        return service_timers(asked.weapon, weapon.service_due_at)
    said = ServiceFellDue(weapon=asked.weapon, due_at=weapon.service_due_at)
    return [said, *restocked(weapon, replace(weapon, overdue=True))]


def known(bench: Bench) -> Weapon:
    """The weapon, as long as it is of the register and not lost."""
    if bench.weapon is None:
        raise WeaponUnknown
    must_be_there(bench.weapon)
    return bench.weapon
