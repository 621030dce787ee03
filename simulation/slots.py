"""What a shooter reads from the list of slots: which times come into question; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ops.api import Json

SLOT: Final = timedelta(minutes=1)
TAKEN: Final = "The lane is taken."
MARGIN: Final = timedelta(seconds=4)  # to think, and for the wish to arrive before the time begins


class Wish(NamedTuple):
    """A lane, a time, and what is to be shot there."""

    lane: str
    starts_at: datetime
    ends_at: datetime
    weapon_class: str
    weapon_type: str | None

    def body(self, rounds: int) -> Json:
        wanted: Json = {
            "lane": self.lane,
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            "weapon_class": self.weapon_class,
            "rounds": rounds,
        }
        return wanted if self.weapon_type is None else {**wanted, "weapon_type": self.weapon_type}


class Lookout(NamedTuple):
    """What a shooter looks for: times from a moment on, with the club's weapon of a class or without."""

    types: Mapping[str, str]  # the club's weapon by class
    own_weapon: bool
    begun: Mapping[str, datetime]  # up to when each lane's turns have come
    moment: datetime


def joined(pages: list[Json]) -> Json:
    """One range's days, one after the other."""
    [first], *others = (page["ranges"] for page in pages)
    lanes = [
        {**lane, "slots": [*lane["slots"], *(slot for [other] in others for slot in other["lanes"][i]["slots"])]}
        for i, lane in enumerate(first["lanes"])
    ]
    return {**first, "lanes": lanes}


def offered(slots: Json, looks: Lookout) -> list[Wish]:
    """On each lane the first free time behind all that are taken, if the shooter may have there what he wants."""
    found = []
    for lane, slot, weapon_class in _behind_the_last(slots, looks):
        weapon_type = None if looks.own_weapon else looks.types[weapon_class]
        here = [offer["weapon_type"] for offer in slot["weapon_types"]]
        if weapon_class in slot["own_weapon_classes"] if weapon_type is None else weapon_type in here:
            found.append(_wish(lane, slot, weapon_class, weapon_type))
    return sorted(found, key=lambda wish: wish.starts_at)


def sold_out(slots: Json, looks: Lookout) -> list[Wish]:
    """The same times where the club's weapon is all booked, the earliest first."""
    found = (
        _wish(lane, slot, weapon_class, looks.types[weapon_class])
        for lane, slot, weapon_class in _behind_the_last(slots, looks)
        if looks.types[weapon_class] in [no["weapon_type"] for no in slot["not_possible"]]
    )
    return sorted(found, key=lambda wish: wish.starts_at)


def _behind_the_last(slots: Json, looks: Lookout) -> Iterator[tuple[str, Json, str]]:
    for about in slots["lanes"]:
        listed = about["slots"]
        last = max((i for i, slot in enumerate(listed) if slot["why"] == TAKEN), default=-1)
        earliest = max(looks.moment + MARGIN, looks.begun.get(about["lane"], looks.moment))
        free = (slot for slot in listed[last + 1 :] if slot["free"] and _moment(slot["starts_at"]) > earliest)
        first = next(free, None)
        if first is not None:
            yield about["lane"], first, about["weapon_classes"][0]


def _wish(lane: str, slot: Json, weapon_class: str, weapon_type: str | None) -> Wish:
    return Wish(lane, _moment(slot["starts_at"]), _moment(slot["ends_at"]), weapon_class, weapon_type)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
