"""The end of a range's day: nobody goes home while a weapon is out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import CloseDay
from handlers.armory.events import DayClosed
from handlers.armory.model.people import who

NAMED: Final = 2  # so many are named; a reason is a short text


@dataclass(frozen=True, slots=True)
class Out:
    """A weapon that is out."""

    weapon: UUID
    weapon_type: str
    holder: UUID


@dataclass(frozen=True, slots=True)
class Loose:
    """What is not done yet at the end of a range's day."""

    out: Sequence[Out] = ()
    unexplained: Sequence[UUID] = ()  # bookings whose cartridges do not add up


class WeaponsStillOut(Rejected):
    """{count} of the range's weapons are out still: {named}."""


class CartridgesUnexplained(Rejected):
    """The cartridges of {count} bookings do not add up to their counted shots, and nobody has said why: {named}."""


def close_day(loose: Loose, asked: CloseDay, given: Given) -> Sequence[Event]:
    out, unexplained = loose.out, loose.unexplained
    if out:
        named = [f"{one.weapon_type} {one.weapon} is with {one.holder}" for one in out[:NAMED]]
        if len(out) > NAMED:
            named.append(f"and {len(out) - NAMED} more")
        raise WeaponsStillOut(count=len(out), named=", ".join(named))
    if unexplained:
        raise CartridgesUnexplained(count=len(unexplained), named=", ".join(map(str, unexplained[:NAMED])))
    return [DayClosed(range=asked.range, closed_by=who(given), closed_at=given.at)]
