"""What a shooter could book in each slot of a day, worked out from what is taken, allowed and in stock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
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
NO_PRICE: Final = "The price list has no price for these."
_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
MOST_WRITTEN: Final = 20_000


class WeaponOffer(View):
    """A type of club weapon that the shooter may book at a time, and how many of it are still free then."""

    weapon_type: str
    weapon_class: str
    title: str
    units_free: int
    price_minor: int | None


class NoOffer(View):
    """What the shooter cannot book at a time, and why: a type of club weapon, or a class of weapons altogether."""

    weapon_class: str
    weapon_type: str | None
    why: str


class SlotView(View):
    """A slot of a lane: what the shooter who asks may shoot in it, or why it cannot be booked; what the lane costs."""

    starts_at: datetime
    ends_at: datetime
    free: bool
    why: str | None
    price_minor: int | None
    own_weapon_classes: tuple[str, ...]
    weapon_types: tuple[WeaponOffer, ...]
    not_possible: tuple[NoOffer, ...]


class Taken(NamedTuple):
    """A time for which lanes are taken: by active bookings with their buffers, or for those they are offered to."""

    lanes: tuple[str, ...]
    during: Span


class Prices(NamedTuple):
    """What things cost, tax contained, in minor units: a lane by the hour, a weapon by its type."""

    currency: str
    lane_hour_minor: int
    weapon_minor: Mapping[str, int]

    def of_lane(self, lasts: timedelta) -> int:
        """In proportion to the hour, rounded half up, as it is invoiced."""
        whole, hour = self.lane_hour_minor * (lasts // _MICROSECOND), _HOUR // _MICROSECOND
        return (2 * whole + hour) // (2 * hour)


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
    """Units of a weapon type that are kept for somebody for a time, or in somebody's hands."""

    weapon_type: str
    during: Span
    units: int


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
    own: Sequence[Span]  # when the shooter is booked
    units_taken: Sequence[TakenUnit]
    entitled: Entitled
    stock: Sequence[Stocked]
    closures: Sequence[Closure] = ()
    endings: Sequence[tuple[str, datetime]] = ()  # entitlements that end soon
    supervised: Sequence[Span] = ()  # when shooters are booked under supervision


class Offered(NamedTuple):
    """A slot as it is shown, and the same as JSON."""

    view: SlotView
    json: str


class Written:
    """Slots that were shown before, to be shown again: each by all that it follows from, so that none is ever stale."""

    def __init__(self) -> None:
        self._written: dict[Hashable, Offered] = {}
        self._numbers: dict[Hashable, int] = {}

    def number(self, basis: Hashable) -> int:
        """A short name for something large that many keys contain."""
        if len(self._numbers) >= MOST_WRITTEN:
            self._numbers.clear()
            self._written.clear()
        return self._numbers.setdefault(basis, len(self._numbers))

    def get(self, key: Hashable, make: Callable[[], SlotView]) -> Offered:
        found = self._written.get(key)
        if found is None:
            if len(self._written) >= MOST_WRITTEN:
                self._written.clear()
            view = make()
            found = self._written[key] = Offered(view, view.model_dump_json())
        return found


class Offers:
    """The offers of one day's slots, which are in order and do not overlap."""

    def __init__(
        self,
        slots: Sequence[Span],
        situation: Situation,
        rules: Rules | None = None,
        prices: Prices | None = None,
        written: Written | None = None,
    ) -> None:
        self._slots = slots
        self._starts = [slot.starts_at for slot in slots]
        self._ends = [slot.ends_at for slot in slots]
        self._rules = rules or Rules()
        self._situation = situation
        self._stock = tuple(situation.stock)
        self._prices = prices
        self._written = written or Written()
        listed = None if prices is None else (prices.lane_hour_minor, tuple(sorted(prices.weapon_minor.items())))
        self._basis = self._written.number((self._stock, listed))
        self._lanes: defaultdict[str, set[int]] = defaultdict(set)
        self._closed: defaultdict[str, set[int]] = defaultdict(set)
        self._kept_throughout: Counter[tuple[str, int]] = Counter()
        self._kept_in_part: defaultdict[tuple[str, int], list[Span]] = defaultdict(list)
        self._refusals: dict[tuple[int, str], Offered] = {}
        self._rows: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Offered]] = {}
        for taken in situation.taken:
            kept_free = Span(taken.during.starts_at - self._rules.after, taken.during.ends_at + self._rules.before)
            touched = self._touched(kept_free)
            for lane in taken.lanes:
                self._lanes[lane].update(touched)
        for unit in situation.units_taken:
            self._take_unit(unit)
        for closure in situation.closures:
            self._closed[closure.lane].update(self._touched(closure.during))
        self._elsewhere = {n for during in situation.own for n in self._touched(during)}
        self._begun = sum(slot.starts_at < situation.now for slot in slots)

    def _touched(self, during: Span) -> range:
        return range(bisect_right(self._ends, during.starts_at), bisect_left(self._starts, during.ends_at))

    def _take_unit(self, unit: TakenUnit) -> None:
        starts_at, ends_at = unit.during
        for n in self._touched(unit.during):
            slot = self._slots[n]
            if starts_at <= slot.starts_at and slot.ends_at <= ends_at:
                self._kept_throughout[unit.weapon_type, n] += unit.units
            else:
                within = Span(max(starts_at, slot.starts_at), min(ends_at, slot.ends_at))
                self._kept_in_part[unit.weapon_type, n] += [within] * unit.units

    def _left(self, stocked: Stocked, n: int) -> int:
        """How many units are free all through a slot."""
        kind = (stocked.weapon_type, n)
        return stocked.units - self._kept_throughout[kind] - most_at_once(self._kept_in_part.get(kind, ()))

    def of_lane(
        self, lane: str, weapon_classes: tuple[str, ...], calibres: tuple[str, ...] = ()
    ) -> tuple[SlotView, ...]:
        return tuple(offered.view for offered in self.row(lane, weapon_classes, calibres))

    def row(self, lane: str, weapon_classes: tuple[str, ...], calibres: tuple[str, ...] = ()) -> list[Offered]:
        """A lane's slots: what is so on every lane of its kind, but where this one is taken or closed."""
        alike = self._rows.get((weapon_classes, calibres))
        if alike is None:
            slots = range(len(self._slots))
            alike = self._rows[weapon_classes, calibres] = [self._anywhere(weapon_classes, calibres, n) for n in slots]
        row = alike.copy()
        for why, where in ((TAKEN, self._lanes), (CLOSED, self._closed)):
            for n in where.get(lane, ()):
                if n >= self._begun:
                    row[n] = self._refused(n, why)
        return row

    def _anywhere(self, weapon_classes: tuple[str, ...], calibres: tuple[str, ...], n: int) -> Offered:
        starts_at, rules = self._slots[n].starts_at, self._rules
        reasons = (
            (n < self._begun, BEGUN),
            (n in self._elsewhere, ELSEWHERE),
            (rules.bookable_from is not None and starts_at < rules.bookable_from, TOO_SOON),
            (rules.latest_starts is not None and starts_at not in rules.latest_starts, TOO_LATE),
        )
        why = next((why for holds, why in reasons if holds), None)
        return self._choice(weapon_classes, calibres, n) if why is None else self._refused(n, why)

    def _refused(self, n: int, why: str) -> Offered:
        found = self._refusals.get((n, why))
        if found is None:
            slot = self._slots[n]
            key = (slot, why, self._basis)
            found = self._refusals[n, why] = self._written.get(key, lambda: self._slot(slot, why=why))
        return found

    def _choice(self, weapon_classes: tuple[str, ...], calibres: tuple[str, ...], n: int) -> Offered:
        slot = self._slots[n]
        barred = tuple((one, why) for one in weapon_classes if (why := self._why_not(one, slot)) is not None)
        left = tuple(self._left(one, n) for one in self._stock)
        key = (slot, weapon_classes, calibres, barred, left, self._basis)
        return self._written.get(key, lambda: self._free(slot, weapon_classes, calibres, barred, left))

    def _why_not(self, weapon_class: str, slot: Span) -> str | None:
        """Why a class may not be shot in a slot, as auth would decide."""
        kinds = self._situation.entitled.get(weapon_class, {}).items()
        most = [at_most for at_most, spans in kinds if is_open(spans, slot)]
        if not most:
            return NOT_ENTITLED
        return None if FREELY in most or self._supervised_in(slot) < max(most) else NO_SUPERVISION

    def _supervised_in(self, slot: Span) -> int:
        return sum(one.starts_at < slot.ends_at and slot.starts_at < one.ends_at for one in self._situation.supervised)

    def _free(
        self,
        slot: Span,
        weapon_classes: tuple[str, ...],
        calibres: tuple[str, ...],
        barred: tuple[tuple[str, str], ...],
        left: tuple[int, ...],
    ) -> SlotView:
        offers: list[WeaponOffer] = []
        refused = [NoOffer(weapon_class=one, weapon_type=None, why=why) for one, why in barred]
        not_allowed = {one for one, _ in barred}
        allowed = tuple(one for one in weapon_classes if one not in not_allowed)
        for stocked, units_free in zip(self._stock, left, strict=True):
            if stocked.weapon_class not in allowed:
                continue
            why = self._why_no_weapon(stocked, calibres, units_free)
            if why is None:
                offers.append(
                    WeaponOffer(
                        weapon_type=stocked.weapon_type,
                        weapon_class=stocked.weapon_class,
                        title=stocked.title,
                        units_free=units_free,
                        price_minor=None if self._prices is None else self._prices.weapon_minor[stocked.weapon_type],
                    )
                )
            else:
                refused.append(NoOffer(weapon_class=stocked.weapon_class, weapon_type=stocked.weapon_type, why=why))
        return self._slot(slot, own=allowed, offers=tuple(offers), refused=tuple(refused))

    def _why_no_weapon(self, stocked: Stocked, calibres: tuple[str, ...], units_free: int) -> str | None:
        if calibres and stocked.calibre not in calibres:
            return NOT_FIRED
        if self._prices is not None and stocked.weapon_type not in self._prices.weapon_minor:
            return NO_PRICE
        return None if units_free > 0 else NONE_LEFT

    def _slot(
        self,
        slot: Span,
        *,
        why: str | None = None,
        own: tuple[str, ...] = (),
        offers: tuple[WeaponOffer, ...] = (),
        refused: tuple[NoOffer, ...] = (),
    ) -> SlotView:
        return SlotView(
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            free=why is None,
            why=why,
            price_minor=None if self._prices is None else self._prices.of_lane(slot.ends_at - slot.starts_at),
            own_weapon_classes=own,
            weapon_types=offers,
            not_possible=refused,
        )
