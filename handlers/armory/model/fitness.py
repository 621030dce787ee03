"""Whether a weapon can be handed out: quarantine, and maintenance by rounds actually fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import QuarantineWeapon, ReleaseWeapon, ServiceWeapon, SetServiceInterval
from handlers.armory.events import (
    ServiceIntervalSet,
    WeaponQuarantined,
    WeaponReleased,
    WeaponServiced,
    WeaponTypeStocked,
)
from handlers.armory.model.people import who
from handlers.armory.model.register import WeaponType, WeaponTypeUnknown


@dataclass(frozen=True, slots=True)
class Weapon:
    """A weapon of the register, and what it has been through."""

    kind: WeaponType
    calibre: str
    quarantine: str | None = None  # why
    rounds_fired: int = 0
    rounds_since_service: int = 0
    service_after_rounds: int | None = None  # as for all of its type

    @property
    def due(self) -> bool:
        return self.service_after_rounds is not None and self.rounds_since_service >= self.service_after_rounds

    @property
    def fit(self) -> bool:
        return self.quarantine is None and not self.due

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
    weapons: tuple[Weapon, ...]


class WeaponUnknown(Rejected):
    """This weapon is not in the register."""


class WeaponInQuarantine(Rejected):
    """This weapon is in quarantine ({reason}); it is not handed out before it is released."""


class ServiceDue(Rejected):
    """This weapon has fired {rounds} rounds since its last service; with {limit} it must be serviced first."""


class QuarantinedAlready(Rejected):
    """This weapon is in quarantine already ({reason})."""


class NotInQuarantine(Rejected):
    """This weapon is not in quarantine."""


class OutForService(Rejected):
    """This weapon is out; it can be serviced once it is back."""


def must_be_fit(weapon: Weapon) -> None:
    if weapon.quarantine is not None:
        raise WeaponInQuarantine(reason=weapon.quarantine)
    if weapon.due:
        raise ServiceDue(rounds=weapon.rounds_since_service, limit=weapon.service_after_rounds)


def restocked(before: Weapon, after: Weapon) -> list[Event]:
    """How many units of the type are fit from now on, if that has changed."""
    return _told(before.kind, before.kind.units + after.fit - before.fit)


def _told(kind: WeaponType, units: int) -> list[Event]:
    if units == kind.units:
        return []
    return [
        WeaponTypeStocked(weapon_type=kind.weapon_type, weapon_class=kind.weapon_class, title=kind.title, units=units)
    ]


def quarantine_weapon(bench: Bench, asked: QuarantineWeapon, given: Given) -> Sequence[Event]:
    weapon = _known(bench)
    if weapon.quarantine is not None:
        raise QuarantinedAlready(reason=weapon.quarantine)
    said = WeaponQuarantined(
        weapon=asked.weapon, reason=asked.reason, quarantined_by=who(given), quarantined_at=given.at
    )
    return [said, *restocked(weapon, replace(weapon, quarantine=asked.reason))]


def release_weapon(bench: Bench, asked: ReleaseWeapon, given: Given) -> Sequence[Event]:
    weapon = _known(bench)
    if weapon.quarantine is None:
        raise NotInQuarantine
    said = WeaponReleased(weapon=asked.weapon, released_by=who(given), released_at=given.at)
    return [said, *restocked(weapon, replace(weapon, quarantine=None))]


def service_weapon(bench: Bench, asked: ServiceWeapon, given: Given) -> Sequence[Event]:
    weapon = _known(bench)
    if bench.out:
        raise OutForService
    said = WeaponServiced(
        weapon=asked.weapon,
        work=asked.work,
        rounds_fired=weapon.rounds_fired,
        rounds_since_service=weapon.rounds_since_service,
        serviced_by=who(given),
        serviced_at=given.at,
    )
    return [said, *restocked(weapon, replace(weapon, rounds_since_service=0))]


def set_service_interval(fleet: Fleet, asked: SetServiceInterval, _given: Given) -> Sequence[Event]:
    if fleet.kind is None:
        raise WeaponTypeUnknown(weapon_type=asked.weapon_type)
    units = sum(replace(weapon, service_after_rounds=asked.rounds).fit for weapon in fleet.weapons)
    said = ServiceIntervalSet(weapon_type=asked.weapon_type, rounds=asked.rounds)
    return [said, *_told(fleet.kind, units)]


def _known(bench: Bench) -> Weapon:
    if bench.weapon is None:
        raise WeaponUnknown
    return bench.weapon
