"""Who may shoot what: the rules as data, and the two questions that are answered from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from handlers.auth.events import Ending, Entitlement

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
class RuleSet:
    """Which licence categories entitle to which weapon class."""

    code: str
    version: int
    categories: Mapping[str, frozenset[str]]


GENERIC: Final = RuleSet(
    code="generic",
    version=1,
    categories={
        "air": frozenset({"pneumatic", "smallbore", "centrefire"}),
        "smallbore": frozenset({"smallbore", "centrefire"}),
        "centrefire": frozenset({"centrefire"}),
    },
)

IN_FORCE: Final = GENERIC


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


class LicenceExpired(Rejected):
    """Your licence for weapons of class {weapon_class} expired on {valid_until:%Y-%m-%d %H:%M} UTC."""


class LicenceExpiresTooSoon(Rejected):
    """Your licence for weapons of class {weapon_class} ends on {valid_until:%Y-%m-%d %H:%M} UTC, too soon."""


def entitlements(licences: Sequence[Licence], rules: RuleSet = IN_FORCE) -> tuple[Entitlement, ...]:
    """All that somebody with these licences may shoot; spans of one class neither touch nor overlap."""
    return tuple(
        Entitlement(weapon_class=weapon_class, valid_from=begin, valid_until=end)
        for weapon_class in sorted(rules.categories)
        for begin, end in _spans(_counting(licences, weapon_class, rules))
    )


def refusal(
    licences: Sequence[Licence],
    weapon_class: str,
    starts_at: datetime,
    ends_at: datetime,
    rules: RuleSet = IN_FORCE,
) -> Rejected | None:
    """Why somebody with these licences may not shoot this class the whole time; None if they may."""
    if not licences:
        return NoLicence()
    if weapon_class not in rules.categories:
        return WeaponClassUnknown(weapon_class=weapon_class)
    fitting = [one for one in licences if one.category in rules.categories[weapon_class]]
    if not fitting:
        categories = ", ".join(sorted(rules.categories[weapon_class]))
        return WrongCategory(weapon_class=weapon_class, categories=categories)
    spans = _spans(_counting(licences, weapon_class, rules))
    if not spans:
        return _not_counting(fitting)(weapon_class=weapon_class)
    return _outside(spans, weapon_class, starts_at, ends_at)


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


def known_categories(rules: RuleSet = IN_FORCE) -> list[str]:
    return sorted(frozenset().union(*rules.categories.values()))


Span = tuple[datetime, datetime]


def _not_counting(fitting: Iterable[Licence]) -> type[Rejected]:
    """Why none of these licences counts: the reason that is the easiest to mend."""
    states = {one.state for one in fitting}
    if LicenceState.RECORDED in states:
        return LicenceNotConfirmed
    return LicenceIsSuspended if LicenceState.SUSPENDED in states else LicenceIsRevoked


def _outside(spans: Sequence[Span], weapon_class: str, starts_at: datetime, ends_at: datetime) -> Rejected | None:
    begun = [span for span in spans if span[0] <= starts_at]
    if not begun:
        return LicenceNotYetValid(weapon_class=weapon_class, valid_from=spans[0][0])
    _, until = begun[-1]
    if ends_at <= until:
        return None
    if starts_at < until:
        return LicenceExpiresTooSoon(weapon_class=weapon_class, valid_until=until)
    return LicenceExpired(weapon_class=weapon_class, valid_until=until)


def _counting(licences: Iterable[Licence], weapon_class: str, rules: RuleSet) -> list[Licence]:
    return [
        one
        for one in licences
        if one.state is LicenceState.CONFIRMED and one.category in rules.categories[weapon_class]
    ]


def _spans(licences: Iterable[Licence]) -> list[Span]:
    """The times covered by at least one licence: a renewal that follows without a gap makes one span."""
    spans: list[Span] = []
    for one in sorted(licences, key=lambda licence: licence.valid_from):
        if spans and one.valid_from <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], one.valid_until))
        else:
            spans.append((one.valid_from, one.valid_until))
    return spans
