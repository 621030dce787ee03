"""What the armory can be asked."""

from __future__ import annotations

from uuid import UUID

from bus.fields import Code, Rounds, Text
from bus.message import Command


class AddWeaponType(Command, name="armory.add-weapon-type", stream="weapon-type:{weapon_type}"):
    """Enter a type of weapon that the club has."""

    weapon_type: Code
    weapon_class: Code
    calibre: Text
    title: Text


class AddWeapon(Command, name="armory.add-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter a weapon into the register."""

    weapon: UUID
    weapon_type: Code
    serial: Text


class StockAmmunition(Command, name="armory.stock-ammunition", stream="ammunition:{calibre}"):
    """Take cartridges of a calibre into stock."""

    calibre: Text
    rounds: Rounds


class IssueWeapon(Command, name="armory.issue-weapon", stream="weapon:{weapon}", about="booking"):
    """Hand a weapon, and cartridges with it, to the shooter of a booking who has checked in."""

    booking: UUID
    weapon: UUID
    rounds: Rounds


class ReturnWeapon(Command, name="armory.return-weapon", stream="weapon:{weapon}", about="booking"):
    """Take a weapon back, and the cartridges that were not fired."""

    booking: UUID
    weapon: UUID
    rounds_returned: Rounds
