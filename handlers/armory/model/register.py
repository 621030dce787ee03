"""The register of weapons, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Effect, Given, Schedule
from handlers.armory.commands import AddWeapon, AddWeaponType, FindServiceDue, PlanServiceAhead
from handlers.armory.events import Away, WeaponAdded, WeaponTypeAdded, WeaponTypeStocked
from handlers.armory.model.times import Span

AHEAD: Final = timedelta(days=14)  # so long before it is due by time, a service is planned


@dataclass(frozen=True, slots=True)
class WeaponType:
    """A type of weapon, and how many of it are fit for use."""

    weapon_type: str
    weapon_class: str
    title: str
    units: int
    away: tuple[Span, ...] = ()  # when fit ones are kept for a planned service, in order
    service_after_days: int | None = None
    service_minutes: int = 60

    def service_due(self, since: datetime) -> datetime | None:
        """When a unit is due by time that was serviced, or came, at a moment."""
        return None if self.service_after_days is None else since + timedelta(days=self.service_after_days)


@dataclass(frozen=True, slots=True)
class Register:
    """What the register says of a weapon that is to be entered."""

    weapon_type: WeaponType | None
    weapon_known: bool
    serial_known: bool


class WeaponTypeKnown(Rejected):
    """The weapon type {weapon_type} has been entered already."""


class WeaponTypeUnknown(Rejected):
    """The club has no weapons of the type {weapon_type}."""


class WeaponKnown(Rejected):
    """This weapon is in the register already."""


class SerialKnown(Rejected):
    """A {weapon_type} with the serial number {serial} is in the register already."""


def add_weapon_type(known: WeaponType | None, asked: AddWeaponType, _given: Given) -> Sequence[Event]:
    if known is not None:
        raise WeaponTypeKnown(weapon_type=asked.weapon_type)
    return [WeaponTypeAdded(**asked.model_dump())]


def stocked(kind: WeaponType, units: int, away: Sequence[Span]) -> list[Event]:
    """How many units of a type are fit from now on, and when some are away, if that has changed."""
    if units == kind.units and tuple(sorted(away)) == kind.away:
        return []
    return [
        WeaponTypeStocked(
            weapon_type=kind.weapon_type,
            weapon_class=kind.weapon_class,
            title=kind.title,
            units=units,
            away=tuple(Away(starts_at=span.starts_at, ends_at=span.ends_at) for span in sorted(away)),
        )
    ]


def add_weapon(register: Register, asked: AddWeapon, given: Given) -> Sequence[Effect]:
    kind = register.weapon_type
    if kind is None:
        raise WeaponTypeUnknown(weapon_type=asked.weapon_type)
    if register.weapon_known:
        raise WeaponKnown
    if register.serial_known:
        raise SerialKnown(weapon_type=asked.weapon_type, serial=asked.serial)
    due_at = kind.service_due(given.at)
    return [
        WeaponAdded(
            **asked.model_dump(),
            added_at=given.at,
            service_due_at=due_at,
        ),
        *stocked(kind, kind.units + 1, kind.away),
        *service_timers(asked.weapon, due_at),
    ]


def service_timers(weapon: UUID, due_at: datetime | None) -> list[Effect]:
    """What is to be looked at later of a weapon that is due by time."""
    if due_at is None:
        return []
    return [
        Schedule(f"service-due:{weapon}", due_at, FindServiceDue(weapon=weapon)),
        Schedule(f"service-ahead:{weapon}", due_at - AHEAD, PlanServiceAhead(weapon=weapon)),
    ]
