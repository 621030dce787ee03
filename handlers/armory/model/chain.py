"""The custody book as a chain: each entry's hash is over the hash before it and its own content, so none can change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import zip_longest
from typing import Final, Literal
from uuid import UUID

from handlers.armory.events import HandoverCorrected, WeaponIssued, WeaponReturned

Handed = WeaponIssued | WeaponReturned | HandoverCorrected
"""After each of these a weapon is in other hands."""

BEGINNING: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry of the custody book says. A weapon's are counted 1, 2, 3, and so on."""

    weapon: UUID
    entry: int
    kind: Literal["issue", "return"]
    booking: UUID
    from_person: UUID
    to_person: UUID
    rounds: int
    at: datetime
    corrects: int | None = None  # the entry that this one takes back
    reason: str | None = None
    lot: str | None = None  # of the cartridges

    @property
    def content(self) -> bytes:
        """Its one way to be written down, whatever the machine: JSON with sorted names, times in UTC.

        A lot is written only if there is one: entries of the time before lots keep their hashes.
        """
        lot = {} if self.lot is None else {"lot": self.lot}
        said = {
            "weapon": str(self.weapon),
            "entry": self.entry,
            "kind": self.kind,
            "booking": str(self.booking),
            "from_person": str(self.from_person),
            "to_person": str(self.to_person),
            "rounds": self.rounds,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "corrects": self.corrects,
            "reason": self.reason,
            **lot,
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it stands in the book, with the hash that stands beside it."""

    entry: Entry
    hash: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry at which a book is not what it was."""

    entry: int
    why: str


def linked(previous: bytes, entry: Entry) -> bytes:
    return sha256(previous + entry.content).digest()


def entry_of(event: Handed, number: int) -> Entry:
    """What an event enters into the book, as its entry of that number."""
    match event:
        case WeaponIssued():
            return Entry(
                event.weapon, number, "issue", event.booking, event.handed_by, event.handed_to, event.rounds,
                event.issued_at, lot=event.lot,
            )  # fmt: skip
        case WeaponReturned():
            return Entry(
                event.weapon, number, "return", event.booking, event.returned_by, event.taken_by,
                event.rounds_returned, event.returned_at,
            )  # fmt: skip
        case HandoverCorrected():
            return Entry(
                event.weapon, number, event.kind, event.booking, event.from_person, event.to_person, event.rounds,
                event.corrected_at, event.corrects, event.reason,
            )  # fmt: skip


def first_broken(book: Sequence[Link]) -> Broken | None:
    """Where a weapon's book, in the order of its numbers, breaks in itself. A tail that is gone leaves no trace."""
    previous = BEGINNING
    for number, link in enumerate(book, start=1):
        if link.entry.entry != number:
            return Broken(number, "it is missing")
        if linked(previous, link.entry) != link.hash:
            return Broken(number, "its hash is not that of its content and the entry before")
        previous = link.hash
    return None


def first_untold(book: Sequence[Link], told: Sequence[Handed]) -> Broken | None:
    """Where a weapon's book says something else than the log does."""
    for number, (link, event) in enumerate(zip_longest(book, told), start=1):
        if link is None:
            return Broken(number, "it is missing, and the log tells of it")
        if event is None:
            return Broken(number, "the log does not tell of it")
        if link.entry != entry_of(event, number):
            return Broken(number, "the log tells it otherwise")
    return None
