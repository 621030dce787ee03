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

NAMED: Final = 2  # so many weapons are named; a reason is a short text


@dataclass(frozen=True, slots=True)
class Out:
    """A weapon that is out."""

    weapon: UUID
    weapon_type: str
    holder: UUID


class WeaponsStillOut(Rejected):
    """{count} of the range's weapons are out still: {named}."""


def close_day(out: Sequence[Out], asked: CloseDay, given: Given) -> Sequence[Event]:
    if out:
        named = [f"{one.weapon_type} {one.weapon} is with {one.holder}" for one in out[:NAMED]]
        if len(out) > NAMED:
            named.append(f"and {len(out) - NAMED} more")
        raise WeaponsStillOut(count=len(out), named=", ".join(named))
    return [DayClosed(range=asked.range, closed_by=who(given), closed_at=given.at)]
