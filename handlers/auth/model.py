"""What auth decides on commands: who may be what at the range, and which licences count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.auth import rules
from handlers.auth.commands import AssignRoles, ConfirmLicence, DisablePerson, EnablePerson, SuspendLicence
from handlers.auth.events import (
    EntitlementsPublished,
    LicenceConfirmed,
    LicenceSuspended,
    PersonDisabled,
    PersonEnabled,
    PersonErased,
    Role,
    RolesAssigned,
    TokensRevoked,
)
from handlers.auth.rules import Licence, LicenceState

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


class NotAllowed(Rejected):
    """Only {allowed} may do this."""


class PersonUnknown(Rejected):
    """Nobody is known by this id."""


class LastAdmin(Rejected):
    """The range must keep at least one admin."""


class AlreadyDisabled(Rejected):
    """This account is disabled already."""


class NotDisabled(Rejected):
    """This account is not disabled."""


class LicenceUnknown(Rejected):
    """This person has no such licence."""


class LicenceAlreadyConfirmed(Rejected):
    """This licence is confirmed already."""


class LicenceAlreadySuspended(Rejected):
    """This licence is suspended already."""


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


def erase_person(book: RoleBook, person: UUID) -> Sequence[Event]:
    """Erases a person: nobody is entitled to anything under this id any more."""
    if book.subject is None:
        raise PersonUnknown
    _another_admin_must_stay(book.staff, person)
    nothing = EntitlementsPublished(
        person=person, entitlements=(), rule_set=rules.IN_FORCE.code, rule_version=rules.IN_FORCE.version
    )
    return [revoked(person, book.subject, book.locked_at, logins=True), nothing, PersonErased(person=person)]


def revoked(person: UUID, standing: Standing, at: datetime, *, logins: bool) -> TokensRevoked:
    """Revokes what was issued up to this moment.

    Tokens tell whole seconds. So the second that has begun is over before new ones count: they bear the next, and
    where that was said before, in this same second, the one after.
    """
    begun = at if standing.tokens_since is None else max(at, standing.tokens_since)
    after = begun.replace(microsecond=0) + timedelta(seconds=1)
    return TokensRevoked(person=person, issued_before=after, logins=logins)


def confirm_licence(file: LicenceFile, asked: ConfirmLicence, given: Given) -> Sequence[Event]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    licence = _in(file, asked.licence)
    if given.person == asked.person:
        raise OwnLicence
    if licence.state is LicenceState.CONFIRMED:
        raise LicenceAlreadyConfirmed
    confirmed = LicenceConfirmed(person=asked.person, licence=asked.licence, confirmed_by=given.actor)
    return [confirmed, _published(file, asked.person, replace(licence, state=LicenceState.CONFIRMED))]


def suspend_licence(file: LicenceFile, asked: SuspendLicence, given: Given) -> Sequence[Event]:
    must_be(MAY_JUDGE_LICENCES, roles_of(given.person, file.staff))
    licence = _in(file, asked.licence)
    if licence.state is LicenceState.SUSPENDED:
        raise LicenceAlreadySuspended
    suspended = LicenceSuspended(
        person=asked.person, licence=asked.licence, suspended_by=given.actor, reason=asked.reason
    )
    return [suspended, _published(file, asked.person, replace(licence, state=LicenceState.SUSPENDED))]


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
            return one
    raise LicenceUnknown


def _published(file: LicenceFile, person: UUID, changed: Licence) -> EntitlementsPublished:
    licences = [changed if one.licence == changed.licence else one for one in file.licences]
    return EntitlementsPublished(
        person=person,
        entitlements=rules.entitlements(licences),
        rule_set=rules.IN_FORCE.code,
        rule_version=rules.IN_FORCE.version,
    )
