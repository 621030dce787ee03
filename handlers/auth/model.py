"""What auth decides on commands: who may be what at the range, and which licences count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Effect, Given, Schedule, Unschedule
from handlers.auth import rules
from handlers.auth.commands import (
    AssignRoles,
    AttestAge,
    ConfirmLicence,
    DisablePerson,
    EnablePerson,
    ForeseeExpiry,
    RevokeDevice,
    RevokeLicence,
    SuspendLicence,
)
from handlers.auth.events import (
    AgeAttested,
    DeviceRevoked,
    Entitlement,
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceConfirmed,
    LicenceRevoked,
    LicenceSuspended,
    PersonDisabled,
    PersonEnabled,
    PersonErased,
    Role,
    RolesAssigned,
    TokensRevoked,
)
from handlers.auth.rule_set import RuleSet
from handlers.auth.rule_sets import GENERIC
from handlers.auth.rules import Licence, LicenceState, Shooter

MAY_ASSIGN_ROLES: Final[frozenset[Role]] = frozenset({"admin"})
MAY_DISABLE: Final[frozenset[Role]] = frozenset({"admin"})
MAY_JUDGE_LICENCES: Final[frozenset[Role]] = frozenset({"instructor", "armourer", "admin"})
MAY_REGISTER_DEVICES: Final[frozenset[Role]] = frozenset({"armourer", "admin"})
MAY_READ_PROFILES: Final[frozenset[Role]] = frozenset({"instructor", "armourer", "cashier", "admin"})

Staff = Mapping[UUID, frozenset[Role]]
"""Everybody who is more than a shooter and not disabled, with all their roles."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is at this moment, and since when tokens and logins must be to count."""

    roles: frozenset[Role]
    disabled: bool = False
    tokens_since: datetime | None = None
    logins_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleBook:
    """How the person asked about stands, and who is what.

    `locked_at` is the clock with that person's row locked: whoever is given a token later is given it by what
    follows from this decision.
    """

    subject: Standing | None
    staff: Staff
    locked_at: datetime


@dataclass(frozen=True, slots=True)
class LicenceFile:
    """All licences of one person, and who may judge them."""

    licences: tuple[Licence, ...]
    staff: Staff
    age: int = 0
    rules: RuleSet = GENERIC


@dataclass(frozen=True, slots=True)
class OwnFile:
    """All that the rules look at of one person, and the rules."""

    shooter: Shooter
    rules: RuleSet


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """Whether a device may report, None for an unknown one; and who may say so."""

    reports: bool | None
    staff: Staff


class NotAllowed(Rejected):
    """Only {allowed} may do this."""


class AgeAttestedBefore(Rejected):
    """An age of at least {age} was shown before."""


class OwnAge(Rejected):
    """Nobody attests their own age: ask a colleague."""


class PersonUnknown(Rejected):
    """Nobody is known by this id."""


class LastAdmin(Rejected):
    """The range must keep at least one admin."""


class AlreadyDisabled(Rejected):
    """This account is disabled already."""


class NotDisabled(Rejected):
    """This account is not disabled."""


class DeviceUnknown(Rejected):
    """No target of this name is registered."""


class DeviceAlreadyRevoked(Rejected):
    """This target reports no more already."""


class LicenceUnknown(Rejected):
    """This person has no such licence."""


class LicenceAlreadyConfirmed(Rejected):
    """This licence is confirmed already."""


class LicenceAlreadySuspended(Rejected):
    """This licence is suspended already."""


class LicenceRevokedForGood(Rejected):
    """This licence was revoked; it will not count again."""


class OwnLicence(Rejected):
    """Nobody confirms a licence of their own: ask a colleague."""


def assign_roles(book: RoleBook, asked: AssignRoles, given: Given) -> Sequence[Event]:
    must_be(MAY_ASSIGN_ROLES, roles_of(given.person, book.staff))
    if book.subject is None:
        raise PersonUnknown
    if "admin" not in asked.roles:
        _another_admin_must_stay(book.staff, asked.person)
    assigned = RolesAssigned(person=asked.person, roles=tuple(sorted(set(asked.roles))))
    if book.subject.roles == frozenset(asked.roles):
        return [assigned]
    return [revoked(asked.person, book.subject, book.locked_at, logins=False), assigned]


def disable_person(book: RoleBook, asked: DisablePerson, given: Given) -> Sequence[Event]:
    must_be(MAY_DISABLE, roles_of(given.person, book.staff))
    if book.subject is None:
        raise PersonUnknown
    if book.subject.disabled:
        raise AlreadyDisabled
    _another_admin_must_stay(book.staff, asked.person)
    disabled = PersonDisabled(person=asked.person, disabled_by=given.actor, reason=asked.reason)
    return [revoked(asked.person, book.subject, book.locked_at, logins=True), disabled]


def enable_person(book: RoleBook, asked: EnablePerson, given: Given) -> Sequence[Event]:
    must_be(MAY_DISABLE, roles_of(given.person, book.staff))
    if book.subject is None:
        raise PersonUnknown
    if not book.subject.disabled:
        raise NotDisabled
    return [PersonEnabled(person=asked.person, enabled_by=given.actor)]


def erase_person(book: RoleBook, person: UUID, rules_: RuleSet) -> Sequence[Effect]:
    """Erases a person: nobody is entitled to anything under this id any more."""
    if book.subject is None:
        raise PersonUnknown
    _another_admin_must_stay(book.staff, person)
    return [
        revoked(person, book.subject, book.locked_at, logins=True),
        published(person, (), rules_, "nobody is behind this account any more"),
        Unschedule(expiry_key(person)),
        PersonErased(person=person),
    ]


def revoked(person: UUID, standing: Standing, at: datetime, *, logins: bool) -> TokensRevoked:
    """Revokes what was issued up to this moment.

    Tokens tell whole seconds. So the second that has begun is over before new ones count: they bear the next, and
    where that was said before, in this same second, the one after.
    """
    begun = at if standing.tokens_since is None else max(at, standing.tokens_since)
    after = begun.replace(microsecond=0) + timedelta(seconds=1)
    return TokensRevoked(person=person, issued_before=after, logins=logins)


def revoke_device(file: DeviceFile, asked: RevokeDevice, given: Given) -> Sequence[Event]:
    must_be(MAY_REGISTER_DEVICES, roles_of(given.person, file.staff))
    if file.reports is None:
        raise DeviceUnknown
    if not file.reports:
        raise DeviceAlreadyRevoked
    return [DeviceRevoked(device=asked.device, revoked_by=given.actor, reason=asked.reason)]


def expiry_key(person: UUID) -> str:
    return f"expiry:{person}"


def confirm_licence(file: LicenceFile, asked: ConfirmLicence, given: Given) -> Sequence[Effect]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    licence = _in(file, asked.licence)
    if given.person == asked.person:
        raise OwnLicence
    if licence.state is LicenceState.CONFIRMED:
        raise LicenceAlreadyConfirmed
    confirmed = LicenceConfirmed(person=asked.person, licence=asked.licence, confirmed_by=given.actor)
    return [confirmed, *_with(file, asked.person, replace(licence, state=LicenceState.CONFIRMED), given.at)]


def suspend_licence(file: LicenceFile, asked: SuspendLicence, given: Given) -> Sequence[Effect]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    licence = _in(file, asked.licence)
    if licence.state is LicenceState.SUSPENDED:
        raise LicenceAlreadySuspended
    suspended = LicenceSuspended(
        person=asked.person, licence=asked.licence, suspended_by=given.actor, reason=asked.reason
    )
    because = f"the licence of category {licence.category} was suspended ({asked.reason})"
    return [suspended, *_with(file, asked.person, replace(licence, state=LicenceState.SUSPENDED), given.at, because)]


def revoke_licence(file: LicenceFile, asked: RevokeLicence, given: Given) -> Sequence[Effect]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    licence = _in(file, asked.licence)
    revoked_ = LicenceRevoked(person=asked.person, licence=asked.licence, revoked_by=given.actor, reason=asked.reason)
    because = f"the licence of category {licence.category} was revoked ({asked.reason})"
    return [revoked_, *_with(file, asked.person, replace(licence, state=LicenceState.REVOKED), given.at, because)]


def attest_age(file: LicenceFile, asked: AttestAge, given: Given) -> Sequence[Effect]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    if given.person == asked.person:
        raise OwnAge
    if asked.at_least <= file.age:
        raise AgeAttestedBefore(age=file.age)
    attested = AgeAttested(person=asked.person, at_least=asked.at_least, attested_by=given.actor)
    shooter = Shooter(file.licences, asked.at_least)
    return [attested, *told_anew(asked.person, shooter, file.rules, given.at)]


def foresee_expiry(file: OwnFile, asked: ForeseeExpiry, given: Given) -> Sequence[Effect]:
    """Says what ends soon, and looks again before what ends next."""
    granted = rules.entitlements(file.shooter, file.rules)
    soon = rules.endings(granted, given.at)
    told = [ExpiryForeseen(person=asked.person, endings=soon)] if soon else []
    return [*told, *_look_again(asked.person, granted, given.at + rules.FORESEEN)]


def roles_of(person: UUID | None, staff: Staff) -> frozenset[Role]:
    return staff.get(person, frozenset()) if person is not None else frozenset()


def must_be(allowed: frozenset[Role], roles: frozenset[Role]) -> None:
    """Raises unless one of these roles is allowed."""
    if not allowed & roles:
        raise NotAllowed(allowed=" or ".join(sorted(allowed)))


def _another_admin_must_stay(staff: Staff, leaving: UUID) -> None:
    if {person for person, roles in staff.items() if "admin" in roles} == {leaving}:
        raise LastAdmin


def _in(file: LicenceFile, licence: UUID) -> Licence:
    for one in file.licences:
        if one.licence == licence:
            if one.state is LicenceState.REVOKED:
                raise LicenceRevokedForGood
            return one
    raise LicenceUnknown


def _with(
    file: LicenceFile, person: UUID, changed: Licence, at: datetime, because: str | None = None
) -> Sequence[Effect]:
    """What follows from one licence that is changed."""
    licences = tuple(changed if one.licence == changed.licence else one for one in file.licences)
    return told_anew(person, Shooter(licences, file.age), file.rules, at, because)


def told_anew(
    person: UUID, shooter: Shooter, rules_: RuleSet, at: datetime, because: str | None = None
) -> Sequence[Effect]:
    """Publishes what somebody may shoot, and sees to it that its end is foreseen."""
    granted = rules.entitlements(shooter, rules_)
    return [published(person, granted, rules_, because), *_look_again(person, granted, at)]


def published(
    person: UUID, granted: tuple[Entitlement, ...], rules_: RuleSet, because: str | None = None
) -> EntitlementsPublished:
    return EntitlementsPublished(
        person=person,
        entitlements=granted,
        rule_set=rules_.code,
        rule_version=rules_.version,
        because=because,
    )


def _look_again(person: UUID, granted: Sequence[Entitlement], after: datetime) -> Sequence[Effect]:
    """Sees to it that the next end after this moment is foreseen; one that is near is at once."""
    end = rules.next_expiry(granted, after)
    if end is None:
        return [Unschedule(expiry_key(person))]
    return [Schedule(expiry_key(person), end - rules.FORESEEN, ForeseeExpiry(person=person))]
