"""The register of weapons, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import AddWeapon, AddWeaponType
from handlers.armory.events import WeaponAdded, WeaponTypeAdded, WeaponTypeStocked


@dataclass(frozen=True, slots=True)
class WeaponType:
    """A type of weapon, and how many of it are fit for use."""

    weapon_type: str
    weapon_class: str
    title: str
    units: int


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


def add_weapon(register: Register, asked: AddWeapon, _given: Given) -> Sequence[Event]:
    kind = register.weapon_type
    if kind is None:
        raise WeaponTypeUnknown(weapon_type=asked.weapon_type)
    if register.weapon_known:
        raise WeaponKnown
    if register.serial_known:
        raise SerialKnown(weapon_type=asked.weapon_type, serial=asked.serial)
    return [
        WeaponAdded(weapon=asked.weapon, weapon_type=asked.weapon_type, serial=asked.serial),
        WeaponTypeStocked(
            weapon_type=kind.weapon_type,
            weapon_class=kind.weapon_class,
            title=kind.title,
            units=kind.units + 1,
        ),
    ]
