"""What auth tells. No name, address, number or password of a person is ever among it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bus import answers
from bus.fields import Code, Moment, Text
from bus.message import Event
from handlers.auth.rule_set import RuleSet
from handlers.booking.events import Terms

Role = Literal["shooter", "instructor", "armourer", "cashier", "analyst", "admin"]
"""What a person may be at the range; one person can be several."""


PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""An Ed25519 public key: its 32 bytes as base64url without padding."""


class Entitlement(BaseModel):
    """A weapon class that a person may shoot within a time."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weapon_class: Code
    valid_from: Moment
    valid_until: Moment
    supervised_at_most: Annotated[int, Field(ge=1)] | None = None  # under supervision, with so many at a time


class Ending(BaseModel):
    """A weapon class that a person may shoot no more from a moment on."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weapon_class: Code
    valid_until: Moment


class PersonRegistered(Event, name="auth.person-registered", stream="person:{person}"):
    """Somebody has an account."""

    person: UUID
    roles: tuple[Role, ...]


class RolesAssigned(Event, name="auth.roles-assigned", stream="person:{person}"):
    """Somebody's roles were set."""

    person: UUID
    roles: tuple[Role, ...]


class PersonDisabled(Event, name="auth.person-disabled", stream="person:{person}"):
    """Somebody may not use the account any more."""

    person: UUID
    disabled_by: Text
    reason: Code


class PersonEnabled(Event, name="auth.person-enabled", stream="person:{person}"):
    """Somebody may use the account again."""

    person: UUID
    enabled_by: Text


class PersonErased(Event, name="auth.person-erased", stream="person:{person}"):
    """Nobody is behind this id any more: all that said who it was is destroyed, and its licences are gone."""

    person: UUID


class TokensRevoked(Event, name="auth.tokens-revoked", stream="person:{person}"):
    """Access tokens issued to somebody before this moment count no more; with `logins`, older logins end too."""

    person: UUID
    issued_before: Moment
    logins: bool


class DeviceRegistered(Event, name="auth.device-registered", stream="device:{device}"):
    """A target may report shots for a lane; one with a key pair signs what it reports."""

    device: Code
    lane: Code
    public_key: PublicKey | None = None


class DeviceRevoked(Event, name="auth.device-revoked", stream="device:{device}"):
    """A target may report no more, whatever token it has."""

    device: Code
    revoked_by: Text
    reason: Code


class LicenceRecorded(Event, name="auth.licence-recorded", stream="person:{person}"):
    """A licence was entered; it counts once it is confirmed."""

    person: UUID
    licence: UUID
    category: Code
    valid_from: Moment
    valid_until: Moment


class LicenceConfirmed(Event, name="auth.licence-confirmed", stream="person:{person}"):
    """Staff has seen the licence."""

    person: UUID
    licence: UUID
    confirmed_by: Text


class LicenceSuspended(Event, name="auth.licence-suspended", stream="person:{person}"):
    """A licence does not count any more."""

    person: UUID
    licence: UUID
    suspended_by: Text
    reason: Code


class LicenceRevoked(Event, name="auth.licence-revoked", stream="person:{person}"):
    """A licence will never count again."""

    person: UUID
    licence: UUID
    revoked_by: Text
    reason: Code


class EntitlementsPublished(Event, name="auth.entitlements-published", stream="person:{person}"):
    """All that a person may shoot, from when to when; it replaces what was published before."""

    person: UUID
    entitlements: tuple[Entitlement, ...]
    rule_set: Code
    rule_version: int
    because: Text | None = None  # what took something away, as a clause


class ExpiryForeseen(Event, name="auth.expiry-foreseen", stream="person:{person}"):
    """What a person may shoot ends soon; bookings after that are refused."""

    person: UUID
    endings: tuple[Ending, ...]


class AgeAttested(Event, name="auth.age-attested", stream="person:{person}"):
    """Staff has seen that somebody is of an age at least; the day of birth is kept nowhere."""

    person: UUID
    at_least: int
    attested_by: Text


class RulesPublished(Event, name="auth.rules-published", stream="rules:{code}"):
    """A version of the rules will take effect."""

    code: Code
    rule_version: int
    rule_set: RuleSet
    takes_effect_at: Moment
    published_by: Text


class RulesTookEffect(Event, name="auth.rules-took-effect", stream="rules:{code}"):
    """From now on it is decided by this version of the rules."""

    code: Code
    rule_version: int
    took_effect_at: Moment


class LicenceValidated(Event, name="auth.licence-validated", stream="licence-check:{booking}"):
    """The shooter may shoot what was asked for, at that time."""

    booking: UUID
    terms: Terms
    rule_set: Code
    rule_version: int
    supervised: bool = False
    reason: Text | None = None
    inputs: tuple[Text, ...] = ()  # what it was decided on, by reference


class LicenceRefused(Event, name="auth.licence-refused", stream="licence-check:{booking}"):
    """The shooter may not shoot what was asked for, or not then."""

    booking: UUID
    terms: Terms
    rule: Code
    rule_version: int
    reason: Text
    rule_set: Code | None = None
    inputs: tuple[Text, ...] = ()  # what it was decided on, by reference


class CommandRejected(answers.CommandRejected, name="auth.command-rejected", stream="{about}", rejects="command"):
    """Auth refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="auth.command-failed", stream="{about}", fails="command"):
    """Auth could not carry out a command because of a fault."""
