"""Who may shoot what: the two questions that are answered from a rule set, and why the answer is no."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.errors import Rejected
from bus.fields import EARLIEST, LATEST
from handlers.auth.events import Ending, Entitlement
from handlers.auth.rule_set import RuleSet, Way
from handlers.auth.rule_sets import GENERIC

FORESEEN: Final = timedelta(days=30)
"""How long before its end a licence's holder is told."""


class LicenceState(Enum):
    """How far a licence has come. Only a confirmed one counts."""

    RECORDED = "recorded"
    CONFIRMED = "confirmed"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as the rules see it; it is valid from `valid_from` until just before `valid_until`."""

    licence: UUID
    category: str
    valid_from: datetime
    valid_until: datetime
    state: LicenceState


@dataclass(frozen=True, slots=True)
class Shooter:
    """What the rules look at: licences, and the age that was shown to the staff."""

    licences: tuple[Licence, ...] = ()
    age: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether somebody may shoot a class the whole time: why not, or how; and what that was decided on."""

    refused: Rejected | None
    supervised: bool
    reason: str
    inputs: tuple[str, ...]  # by reference: licences by id, the age that was shown, the places taken


class NoLicence(Rejected):
    """You have no licence on record at this range."""


class WeaponClassUnknown(Rejected):
    """The range's rules say nothing about weapons of class {weapon_class}, so nobody may shoot them."""


class WrongCategory(Rejected):
    """None of your licences covers weapons of class {weapon_class}; that takes one of: {categories}."""


class LicenceNotConfirmed(Rejected):
    """Your licence for weapons of class {weapon_class} has not been confirmed by the range's staff yet."""


class LicenceIsSuspended(Rejected):
    """Your licence for weapons of class {weapon_class} is suspended."""


class LicenceIsRevoked(Rejected):
    """Your licence for weapons of class {weapon_class} was revoked."""


class LicenceNotYetValid(Rejected):
    """Your licence for weapons of class {weapon_class} is valid from {valid_from:%Y-%m-%d %H:%M} UTC only."""


class AgeNotShown(Rejected):
    """Weapons of class {weapon_class} take an age of {age} at least, and you have not shown that to the staff."""


class TooLittleExperience(Rejected):
    """Weapons of class {weapon_class} take {years} years with a licence of category {categories}."""


class SupervisorsBusy(Rejected):
    """At most {at_most} shoot weapons of class {weapon_class} under supervision at a time, and so many do then."""


class NobodySupervises(Rejected):
    """Weapons of class {weapon_class} would take supervision, and the range has no supervisor on duty."""


class PartlySupervised(Rejected):
    """You may shoot weapons of class {weapon_class} for part of that time under supervision only: book it apart."""


class LicenceExpired(Rejected):
    """Your licence for weapons of class {weapon_class} expired on {valid_until:%Y-%m-%d %H:%M} UTC."""


class LicenceExpiresTooSoon(Rejected):
    """Your licence for weapons of class {weapon_class} ends on {valid_until:%Y-%m-%d %H:%M} UTC, too soon."""


def entitlements(shooter: Shooter, rules: RuleSet) -> tuple[Entitlement, ...]:
    """All that somebody may shoot; spans of one class and kind neither touch nor overlap."""
    return tuple(
        Entitlement(
            weapon_class=one.weapon_class, valid_from=begin, valid_until=end, supervised_at_most=at_most or None
        )
        for one in sorted(rules.classes, key=lambda one: one.weapon_class)
        for at_most, spans in sorted(_granted(shooter, one.ways, rules).items())
        for begin, end in spans
    )


def decide(
    shooter: Shooter,
    weapon_class: str,
    starts_at: datetime,
    ends_at: datetime,
    rules: RuleSet,
    supervised_then: int = 0,
) -> Decision:
    """Whether a shooter may shoot this class the whole time, while so many others are booked under supervision."""
    ways = rules.ways(weapon_class)
    granted = _granted(shooter, ways, rules)
    covering = [at_most for at_most, spans in sorted(granted.items()) if _covered(spans, starts_at, ends_at)]
    inputs = _inputs(shooter, ways)
    if FREELY in covering:
        return Decision(None, supervised=False, reason="A confirmed licence covers the whole time.", inputs=inputs)
    if covering:
        inputs = (*inputs, f"supervised-then:{supervised_then}")
        if supervised_then < covering[-1]:
            reason = f"Under supervision, with {supervised_then} of {covering[-1]} places taken."
            return Decision(None, supervised=True, reason=reason, inputs=inputs)
        refused: Rejected = SupervisorsBusy(weapon_class=weapon_class, at_most=covering[-1])
    else:
        refused = _why_not(shooter, weapon_class, ways, granted, Span(starts_at, ends_at))
    return Decision(refused, supervised=False, reason=refused.reason, inputs=inputs)


def refusal(
    licences: Sequence[Licence],
    weapon_class: str,
    starts_at: datetime,
    ends_at: datetime,
    rules: RuleSet = GENERIC,
) -> Rejected | None:
    """Why somebody with these licences alone may not shoot this class the whole time; None if they may."""
    return decide(Shooter(tuple(licences)), weapon_class, starts_at, ends_at, rules).refused


def next_expiry(granted: Iterable[Entitlement], after: datetime) -> datetime | None:
    """When the first of these ends after a moment."""
    return min((one.valid_until for one in granted if one.valid_until > after), default=None)


def endings(granted: Iterable[Entitlement], at: datetime) -> tuple[Ending, ...]:
    """What of this goes on now and ends within FORESEEN."""
    return tuple(
        Ending(weapon_class=one.weapon_class, valid_until=one.valid_until)
        for one in granted
        if at < one.valid_until <= at + FORESEEN
    )


def known_categories(rules: RuleSet) -> list[str]:
    """Every category that the rules ask for, for itself or as experience."""
    asked = frozenset[str]().union(*rules.categories.values())
    before = (way.experience for one in rules.classes for way in one.ways if way.experience is not None)
    return sorted(asked.union(*(one.categories for one in before)))


def day_begins(day: date, time_zone: str) -> datetime:
    """The moment at which a day begins on the clocks of a time zone; where they skip midnight, when they do."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


class Span(NamedTuple):
    """A time, without its end."""

    begin: datetime
    end: datetime


Granted = Mapping[int, Sequence[Span]]
"""When a class may be shot: FREELY, or under supervision by as many as the number says at a time."""

FREELY: Final = 0


def _granted(shooter: Shooter, ways: Iterable[Way], rules: RuleSet) -> Granted:
    spans: dict[int, list[Span]] = {}
    for way in ways:
        at_most = FREELY if way.per_supervisor is None else way.per_supervisor * rules.supervisors
        unsupervised = at_most == FREELY and (way.per_supervisor is not None or not way.categories)
        if shooter.age < way.age or unsupervised:
            continue
        since = _experienced_since(shooter.licences, way)
        for begin, end in _licensed(shooter.licences, way):
            if since is not None and max(begin, since) < end:
                spans.setdefault(at_most, []).append(Span(max(begin, since), end))
    return {at_most: _merged(of_kind) for at_most, of_kind in spans.items()}


def _licensed(licences: Iterable[Licence], way: Way) -> Iterable[Span]:
    """When licences cover a way, apart from its other conditions; a guest's way always."""
    if not way.categories:
        return [Span(EARLIEST, LATEST)]
    return [Span(one.valid_from, one.valid_until) for one in licences if _counts(one, way.categories)]


def _experienced_since(licences: Iterable[Licence], way: Way) -> datetime | None:
    """Since when there is the experience that a way takes; None for never. A licence that ran out was one, too."""
    if way.experience is None:
        return EARLIEST
    first = min((one.valid_from for one in licences if _counts(one, way.experience.categories)), default=None)
    if first is None or first.year + way.experience.years >= LATEST.year:
        return None
    year = first.year + way.experience.years
    leap_day = (first.month, first.day) == (2, 29)
    return first.replace(year=year, month=3, day=1) if leap_day and not isleap(year) else first.replace(year=year)


def _counts(licence: Licence, categories: Iterable[str]) -> bool:
    return licence.state is LicenceState.CONFIRMED and licence.category in categories


def _covered(spans: Iterable[Span], starts_at: datetime, ends_at: datetime) -> bool:
    return any(begin <= starts_at and ends_at <= end for begin, end in spans)


def _inputs(shooter: Shooter, ways: Iterable[Way]) -> tuple[str, ...]:
    looked_at = {
        category
        for way in ways
        for category in (*way.categories, *(way.experience.categories if way.experience else ()))
    }
    licences = sorted(f"licence:{one.licence}" for one in shooter.licences if one.category in looked_at)
    return (*licences, *([f"age:{shooter.age}"] if any(way.age for way in ways) else []))


def _why_not(shooter: Shooter, weapon_class: str, ways: Sequence[Way], granted: Granted, asked: Span) -> Rejected:
    """The reason that is the nearest to being mended."""
    if not shooter.licences and all(way.categories for way in ways):
        return NoLicence()
    if not ways:
        return WeaponClassUnknown(weapon_class=weapon_class)
    if granted:
        spans = _merged(span for of_kind in granted.values() for span in of_kind)
        return _outside(spans, weapon_class, *asked) or PartlySupervised(weapon_class=weapon_class)
    return _never(shooter, weapon_class, ways)


def _never(shooter: Shooter, weapon_class: str, ways: Sequence[Way]) -> Rejected:
    """Why no way to shoot a class is open to somebody at any time."""
    guests = [way for way in ways if not way.categories]
    if any(shooter.age >= way.age and way.experience is None for way in guests):
        return NobodySupervises(weapon_class=weapon_class)
    categories = {category for way in ways for category in way.categories}
    fitting = [one for one in shooter.licences if one.category in categories]
    if not fitting and not guests:
        return WrongCategory(weapon_class=weapon_class, categories=", ".join(sorted(categories)))
    if fitting and not any(one.state is LicenceState.CONFIRMED for one in fitting):
        return _not_counting(fitting)(weapon_class=weapon_class)
    return _too_young_or_new(shooter, weapon_class, ways)


def _too_young_or_new(shooter: Shooter, weapon_class: str, ways: Sequence[Way]) -> Rejected:
    young = [way.age for way in ways if shooter.age < way.age]
    if young:
        return AgeNotShown(weapon_class=weapon_class, age=min(young))
    lacking = [way.experience for way in ways if way.experience is not None]
    if not lacking:
        return NobodySupervises(weapon_class=weapon_class)
    least = min(lacking, key=lambda one: one.years)
    return TooLittleExperience(weapon_class=weapon_class, years=least.years, categories=" or ".join(least.categories))


def _not_counting(fitting: Iterable[Licence]) -> type[Rejected]:
    """Why none of these licences counts: the reason that is the easiest to mend."""
    states = {one.state for one in fitting}
    if LicenceState.RECORDED in states:
        return LicenceNotConfirmed
    return LicenceIsSuspended if LicenceState.SUSPENDED in states else LicenceIsRevoked


def _outside(spans: Sequence[Span], weapon_class: str, starts_at: datetime, ends_at: datetime) -> Rejected | None:
    begun = [span for span in spans if span.begin <= starts_at]
    if not begun:
        return LicenceNotYetValid(weapon_class=weapon_class, valid_from=spans[0].begin)
    _, until = begun[-1]
    if ends_at <= until:
        return None
    if starts_at < until:
        return LicenceExpiresTooSoon(weapon_class=weapon_class, valid_until=until)
    return LicenceExpired(weapon_class=weapon_class, valid_until=until)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The times covered by at least one of these: a renewal that follows without a gap makes one span."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, end))
        else:
            merged.append(Span(begin, end))
    return merged
