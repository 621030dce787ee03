"""What auth can be asked through the log. What carries personal data or secrets goes by auth's own endpoint."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from bus.fields import Code, Moment
from bus.message import Command
from handlers.auth.events import Role
from handlers.auth.rule_set import RuleSet


class AssignRoles(Command, name="auth.assign-roles", stream="person:{person}"):
    """Set what a person may be at the range."""

    person: UUID
    roles: tuple[Role, ...] = Field(max_length=6)


class DisablePerson(Command, name="auth.disable-person", stream="person:{person}"):
    """Let somebody use the account no more, from now on."""

    person: UUID
    reason: Code


class EnablePerson(Command, name="auth.enable-person", stream="person:{person}"):
    """Let somebody use the account again."""

    person: UUID


class RevokeDevice(Command, name="auth.revoke-device", stream="device:{device}"):
    """Take a target's right to report, from now on; registered again it has a new secret."""

    device: Code
    reason: Code


class ConfirmLicence(Command, name="auth.confirm-licence", stream="person:{person}"):
    """Note that staff has seen a licence and found it good."""

    person: UUID
    licence: UUID


class SuspendLicence(Command, name="auth.suspend-licence", stream="person:{person}"):
    """Make a licence count no more until it is confirmed again; bookings that depended on it are called off."""

    person: UUID
    licence: UUID
    reason: Code


class RevokeLicence(Command, name="auth.revoke-licence", stream="person:{person}"):
    """Make a licence count no more for good; bookings that depended on it are called off."""

    person: UUID
    licence: UUID
    reason: Code


class AttestAge(Command, name="auth.attest-age", stream="person:{person}"):
    """Note that staff has seen that somebody is of an age at least."""

    person: UUID
    at_least: Literal[12, 14, 16, 18, 21]


class PublishRules(Command, name="auth.publish-rules", stream="rules:{code}"):
    """Let a version of the rules take effect at a moment; what they then refuse is called off."""

    code: Code
    rule_set: RuleSet
    takes_effect_at: Moment


class PutRulesInForce(Command, name="auth.put-rules-in-force", stream="rules:{code}"):
    """Decide by a version of the rules from now on; auth asks it of itself when that time comes."""

    code: Code
    rule_version: int


class RepublishEntitlements(Command, name="auth.republish-entitlements", stream="rules:{code}"):
    """Publish anew what people may shoot, so many at a time; auth asks it of itself when the rules have changed."""

    code: Code
    rule_version: int
    after_person: UUID | None


class ForeseeExpiry(Command, name="auth.foresee-expiry", stream="person:{person}"):
    """See whether what a person may shoot ends soon; auth asks it of itself when that time comes."""

    person: UUID
