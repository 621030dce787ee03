"""Corrections: a wrong entry of the custody book is taken back by another, and what it did is undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import CorrectHandover
from handlers.armory.events import HandoverCorrected
from handlers.armory.model.ammunition import AmmunitionShort
from handlers.armory.model.custody import BookingHoldsWeapon
from handlers.armory.model.fitness import Weapon, WeaponUnknown, must_be_there, restocked
from handlers.armory.model.people import other_hand


@dataclass(frozen=True, slots=True)
class LastEntry:
    """The last entry of a weapon's custody book, and the loan that it began or ended."""

    entry: int
    kind: Literal["issue", "return"]
    at: datetime
    corrects: int | None
    booking: UUID
    holder: UUID
    rounds: int  # that went along
    rounds_fired: int  # that the weapon's count has of it; 0 for an issue


@dataclass(frozen=True, slots=True)
class Page:
    """The page of the custody book that is to be corrected."""

    weapon: Weapon | None
    last: LastEntry | None
    booking_holds_one: bool
    rounds_in_stock: int  # of the lot that was issued


class EntryNotLast(Rejected):
    """Only the last entry of a weapon's custody book can be taken back; of this weapon that is {last}."""


class CorrectionNotCorrected(Rejected):
    """Entry {entry} is a correction itself; enter the handover again instead."""


def correct_handover(page: Page, asked: CorrectHandover, given: Given) -> Sequence[Event]:
    weapon, last = page.weapon, page.last
    if weapon is None:
        raise WeaponUnknown
    must_be_there(weapon)
    if last is None or last.entry != asked.entry:
        raise EntryNotLast(last="none" if last is None else last.entry)
    if last.corrects is not None:
        raise CorrectionNotCorrected(entry=last.entry)
    if last.kind == "return":
        _check_out_again(page, weapon, last)
    author = other_hand(given, last.holder)
    back = last.kind == "issue"
    return [
        HandoverCorrected(
            weapon=asked.weapon,
            corrects=last.entry,
            kind="return" if back else "issue",
            booking=last.booking,
            from_person=last.holder if back else author,
            to_person=author if back else last.holder,
            rounds=last.rounds,
            rounds_not_fired=last.rounds_fired,
            reason=asked.reason,
            corrected_by=author,
            corrected_at=max(given.at, last.at),
        ),
        *restocked(weapon, weapon.after(-last.rounds_fired)),
    ]


def _check_out_again(page: Page, weapon: Weapon, last: LastEntry) -> None:
    """A return that was none leaves the weapon and its cartridges out."""
    if page.booking_holds_one:
        raise BookingHoldsWeapon
    if last.rounds > page.rounds_in_stock:
        raise AmmunitionShort(asked=last.rounds, calibre=weapon.calibre, in_stock=page.rounds_in_stock)
