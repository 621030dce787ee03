"""How versions of the rules come into force, and what they would refuse before that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bus.errors import Rejected
from bus.service import Effect, Given, Schedule
from handlers.auth import rules
from handlers.auth.commands import PublishRules, PutRulesInForce, RepublishEntitlements
from handlers.auth.events import Role, RulesPublished, RulesTookEffect
from handlers.auth.model import Staff, must_be, roles_of, told_anew
from handlers.auth.rule_set import RuleSet
from handlers.auth.rules import Shooter

MAY_PUBLISH_RULES: Final[frozenset[Role]] = frozenset({"admin"})
TOLD_AT_ONCE: Final = 200  # people whose entitlements are published in one transaction
TRIED_AHEAD: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The latest version published of a code, and who may publish."""

    latest: int | None
    staff: Staff


@dataclass(frozen=True, slots=True)
class People:
    """The next people of whom something was published or may be, by id; as many as TOLD_AT_ONCE unless they end."""

    files: Sequence[tuple[UUID, Shooter]]
    rules: RuleSet


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking that depends on what its shooter may shoot."""

    booking: UUID
    person: UUID
    weapon_class: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class WouldBeRefused:
    """A booking that a rule set would not have allowed."""

    booked: Booked
    refused: Rejected


class VersionKnown(Rejected):
    """Version {version} of these rules is published already: take a later one."""


class TakesEffectInThePast(Rejected):
    """Rules take effect when they are published at the earliest."""


class RulesUnknown(Rejected):
    """This version of the rules was not published."""


class AnotherCode(Rejected):
    """These rules are those of {code}, not of {asked}."""


class TimeZoneUnknown(Rejected):
    """{time_zone} is no time zone of the IANA database."""


class ClassNamedTwice(Rejected):
    """The class {weapon_class} is named twice."""


class GuestsAlone(Rejected):
    """Weapons of class {weapon_class} could be shot without a licence and without supervision."""


def must_make_sense(rule_set: RuleSet) -> None:
    """Raises for rules that nobody can have meant."""
    try:
        ZoneInfo(rule_set.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneUnknown(time_zone=rule_set.time_zone) from error
    seen: set[str] = set()
    for one in rule_set.classes:
        if one.weapon_class in seen:
            raise ClassNamedTwice(weapon_class=one.weapon_class)
        seen.add(one.weapon_class)
        if any(not way.categories and way.per_supervisor is None for way in one.ways):
            raise GuestsAlone(weapon_class=one.weapon_class)


def in_force_key(code: str, version: int) -> str:
    return f"rules:{code}:{version}"


def publish_rules(book: RuleBook, asked: PublishRules, given: Given) -> Sequence[Effect]:
    must_be(MAY_PUBLISH_RULES, roles_of(given.person, book.staff))
    code, version = asked.rule_set.code, asked.rule_set.version
    if code != asked.code:
        raise AnotherCode(code=code, asked=asked.code)
    must_make_sense(asked.rule_set)
    if book.latest is not None and version <= book.latest:
        raise VersionKnown(version=version)
    if asked.takes_effect_at < given.at - timedelta(minutes=5):
        raise TakesEffectInThePast
    return [
        RulesPublished(
            code=code,
            rule_version=version,
            rule_set=asked.rule_set,
            takes_effect_at=asked.takes_effect_at,
            published_by=given.actor,
        ),
        Schedule(in_force_key(code, version), asked.takes_effect_at, PutRulesInForce(code=code, rule_version=version)),
    ]


def put_in_force(published: bool, asked: PutRulesInForce, given: Given) -> Sequence[Effect]:  # noqa: FBT001 - a state
    if not published:
        raise RulesUnknown
    code, version = asked.code, asked.rule_version
    return [
        RulesTookEffect(code=code, rule_version=version, took_effect_at=given.at),
        Schedule(
            f"republish:{code}", given.at, RepublishEntitlements(code=code, rule_version=version, after_person=None)
        ),
    ]


def republish(people: People, asked: RepublishEntitlements, given: Given) -> Sequence[Effect]:
    """Tells the next people's entitlements anew; bookings that they cover no more are called off by booking."""
    because = f"the range's rules are {people.rules.code}, version {people.rules.version}, now"
    effects = [
        effect
        for person, shooter in people.files
        for effect in told_anew(person, shooter, people.rules, given.at, because)
    ]
    if len(people.files) < TOLD_AT_ONCE:
        return effects
    after = asked.model_copy(update={"after_person": people.files[-1][0]})
    return [*effects, Schedule(f"republish:{asked.code}", given.at, after)]


def trial(bookings: Iterable[tuple[Booked, Shooter]], rule_set: RuleSet) -> list[WouldBeRefused]:
    """Which of these bookings the rules would refuse, asked in the order in which the bookings begin."""
    refused: list[WouldBeRefused] = []
    supervised: list[Booked] = []
    for booked, shooter in sorted(bookings, key=lambda one: (one[0].starts_at, one[0].booking)):
        supervised = [one for one in supervised if one.ends_at > booked.starts_at]
        then = sum(one.starts_at < booked.ends_at for one in supervised)
        decided = rules.decide(
            shooter, booked.weapon_class, booked.starts_at, booked.ends_at, rule_set, supervised_then=then
        )
        if decided.refused is not None:
            refused.append(WouldBeRefused(booked, decided.refused))
        elif decided.supervised:
            supervised.append(booked)
    return refused
