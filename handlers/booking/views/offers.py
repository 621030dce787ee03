"""What a shooter could book in each slot of a day, worked out from what is taken, allowed and in stock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from handlers.booking.model.hours import Span, is_open, most_at_once
from handlers.booking.views.view import View

BEGUN: Final = "This time has begun or is past."
TAKEN: Final = "The lane is taken."
CLOSED: Final = "The lane is closed."
TOO_SOON: Final = "It is too late to book this time; ask the range's staff."
TOO_LATE: Final = "Sessions do not begin so shortly before closing."
ELSEWHERE: Final = "The shooter is booked at this time."
NOT_ENTITLED: Final = "No confirmed licence allows this class at this time."
NOT_FIRED: Final = "Their calibre is not fired on this lane."
NO_SUPERVISION: Final = "Under supervision, all places are taken at this time."
FREELY: Final = 0
NONE_LEFT: Final = "All of these are booked at this time."


class WeaponOffer(View):
    """A type of club weapon that the shooter may book at a time, and how many of it are still free then."""

    weapon_type: str
    weapon_class: str
    title: str
    units_free: int


class NoOffer(View):
    """What the shooter cannot book at a time, and why: a type of club weapon, or a class of weapons altogether."""

    weapon_class: str
    weapon_type: str | None
    why: str


class SlotView(View):
    """A slot of a lane: what the shooter who asks may shoot in it, or why it cannot be booked."""

    starts_at: datetime
    ends_at: datetime
    free: bool
    why: str | None
    own_weapon_classes: tuple[str, ...]
    weapon_types: tuple[WeaponOffer, ...]
    not_possible: tuple[NoOffer, ...]


class Taken(NamedTuple):
    """An active booking, as far as it is in others' way: of its lane with its buffers, of its shooters without."""

    lane: str
    by_shooter: bool
    during: Span
    with_buffers: Span


class Closure(NamedTuple):
    """A time for which a lane is closed."""

    lane: str
    during: Span


@dataclass(frozen=True, slots=True)
class Rules:
    """What the range's house rules make of its slots."""

    before: timedelta = timedelta()  # what a booking takes of its lane before it begins
    after: timedelta = timedelta()
    bookable_from: datetime | None = None  # by the notice that is asked
    latest_starts: frozenset[datetime] | None = None  # which slots begin in time before closing; none: all


class TakenUnit(NamedTuple):
    """A unit of a weapon type, kept for somebody or in his hands."""

    weapon_type: str
    during: Span


class Stocked(NamedTuple):
    """A type of club weapon."""

    weapon_type: str
    weapon_class: str
    title: str
    units: int
    calibre: str | None = None


Entitled = Mapping[str, Mapping[int, Sequence[Span]]]
"""When each class may be shot, in order: freely under 0, else under supervision by so many at a time."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the offers of a day follow from; the entitlements of a class are in order."""

    now: datetime
    taken: Sequence[Taken]
    units_taken: Sequence[TakenUnit]
    entitled: Entitled
    stock: Sequence[Stocked]
    closures: Sequence[Closure] = ()
    supervised: Sequence[Span] = ()  # when shooters are booked under supervision


class Offers:
    """The offers of one day's slots, which are in order and do not overlap."""

    def __init__(self, slots: Sequence[Span], situation: Situation, rules: Rules | None = None) -> None:
        self._slots = slots
        self._rules = rules or Rules()
        self._situation = situation
        self._lanes: set[tuple[str, int]] = set()
        self._closed: set[tuple[str, int]] = set()
        self._elsewhere: set[int] = set()
        self._units: defaultdict[tuple[str, int], list[Span]] = defaultdict(list)
        self._choices: dict[tuple[tuple[str, ...], tuple[str, ...], int], SlotView] = {}
        for taken in situation.taken:
            self._take(taken)
        for unit in situation.units_taken:
            self._take_unit(unit)
        for closure in situation.closures:
            self._closed.update((closure.lane, n) for n in self._touched(closure.during))

    def _touched(self, during: Span) -> range:
        first = bisect_right(self._slots, during.starts_at, key=lambda slot: slot.ends_at)
        return range(first, bisect_left(self._slots, during.ends_at, key=lambda slot: slot.starts_at))

    def _take(self, taken: Taken) -> None:
        starts_at, ends_at = taken.with_buffers
        for n in self._touched(Span(starts_at - self._rules.after, ends_at + self._rules.before)):
            self._lanes.add((taken.lane, n))
        if taken.by_shooter:
            self._elsewhere.update(self._touched(taken.during))

    def _take_unit(self, unit: TakenUnit) -> None:
        for n in self._touched(unit.during):
            slot = self._slots[n]
            within = Span(max(unit.during.starts_at, slot.starts_at), min(unit.during.ends_at, slot.ends_at))
            self._units[unit.weapon_type, n].append(within)

    def of_lane(
        self, lane: str, weapon_classes: tuple[str, ...], calibres: tuple[str, ...] = ()
    ) -> tuple[SlotView, ...]:
        return tuple(self._offer(lane, weapon_classes, calibres, n) for n in range(len(self._slots)))

    def _offer(self, lane: str, weapon_classes: tuple[str, ...], calibres: tuple[str, ...], n: int) -> SlotView:
        why = self._why_not(lane, n)
        if why is not None:
            return self._refused(n, why)
        choice = self._choices.get((weapon_classes, calibres, n))
        if choice is None:
            choice = self._choices[weapon_classes, calibres, n] = self._choice(weapon_classes, calibres, n)
        return choice

    def _why_not(self, lane: str, n: int) -> str | None:
        starts_at, rules = self._slots[n].starts_at, self._rules
        reasons = (
            (starts_at < self._situation.now, BEGUN),
            ((lane, n) in self._closed, CLOSED),
            ((lane, n) in self._lanes, TAKEN),
            (n in self._elsewhere, ELSEWHERE),
            (rules.bookable_from is not None and starts_at < rules.bookable_from, TOO_SOON),
            (rules.latest_starts is not None and starts_at not in rules.latest_starts, TOO_LATE),
        )
        return next((why for holds, why in reasons if holds), None)

    def _refused(self, n: int, why: str) -> SlotView:
        starts_at, ends_at = self._slots[n]
        return SlotView(
            starts_at=starts_at,
            ends_at=ends_at,
            free=False,
            why=why,
            own_weapon_classes=(),
            weapon_types=(),
            not_possible=(),
        )

    def _may(self, weapon_class: str, slot: Span) -> bool:
        """As auth would decide."""
        most = [at_most for at_most, spans in self._kinds(weapon_class) if is_open(spans, slot)]
        return bool(most) and (FREELY in most or self._supervised_in(slot) < max(most))

    def _not_allowed(self, weapon_class: str, slot: Span) -> str:
        covered = any(is_open(spans, slot) for _, spans in self._kinds(weapon_class))
        return NO_SUPERVISION if covered else NOT_ENTITLED

    def _kinds(self, weapon_class: str) -> Iterable[tuple[int, Sequence[Span]]]:
        return self._situation.entitled.get(weapon_class, {}).items()

    def _supervised_in(self, slot: Span) -> int:
        return sum(one.starts_at < slot.ends_at and slot.starts_at < one.ends_at for one in self._situation.supervised)

    def _choice(self, weapon_classes: tuple[str, ...], calibres: tuple[str, ...], n: int) -> SlotView:
        slot = self._slots[n]
        allowed = [one for one in weapon_classes if self._may(one, slot)]
        offers: list[WeaponOffer] = []
        refused = [
            NoOffer(weapon_class=one, weapon_type=None, why=self._not_allowed(one, slot))
            for one in weapon_classes
            if one not in allowed
        ]
        for stocked in self._situation.stock:
            if stocked.weapon_class not in allowed:
                continue
            weapon_type, weapon_class, title, units, calibre = stocked
            if calibres and calibre not in calibres:
                refused.append(NoOffer(weapon_class=weapon_class, weapon_type=weapon_type, why=NOT_FIRED))
                continue
            left = units - most_at_once(self._units.get((weapon_type, n), ()))
            if left > 0:
                offers.append(
                    WeaponOffer(weapon_type=weapon_type, weapon_class=weapon_class, title=title, units_free=left)
                )
            else:
                refused.append(NoOffer(weapon_class=weapon_class, weapon_type=weapon_type, why=NONE_LEFT))
        return SlotView(
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            free=True,
            why=None,
            own_weapon_classes=tuple(allowed),
            weapon_types=tuple(offers),
            not_possible=tuple(refused),
        )
