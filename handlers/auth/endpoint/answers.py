"""What the endpoint answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from handlers.auth.events import Role
from handlers.auth.views import EntitlementView


class Registered(BaseModel):
    """The account's id, under which the log knows the person."""

    person: UUID


class Tokens(BaseModel):
    """What a person holds after logging in; the refresh token can be used once."""

    person: UUID
    roles: list[Role]
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - how it is sent, no secret
    access_token: str
    expires_in_s: int
    refresh_token: str
    refresh_expires_at: datetime


class OpenLogin(BaseModel):
    """A login that goes on: it was last used at `refreshed_at`."""

    session: UUID
    opened_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime


class Logins(BaseModel):
    """Every login that goes on."""

    items: list[OpenLogin]


class SecondFactor(BaseModel):
    """What makes codes, told this once: the secret to be typed, or the address that a QR code shows an app."""

    secret: str
    uri: str


class RecoveryCodes(BaseModel):
    """Codes for who has lost what makes the others, each good once; told this once."""

    recovery_codes: list[str]


class RecordedLicence(BaseModel):
    """The licence's id."""

    licence: UUID


class ProfileLicence(BaseModel):
    """A licence with what stands on it."""

    licence: UUID
    category: str
    number: str
    authority: str
    valid_from: datetime
    valid_until: datetime
    state: Literal["recorded", "confirmed", "suspended", "revoked"]
    reason: str | None


class PersonProfile(BaseModel):
    """Who somebody is; the login name is told to its owner alone."""

    person: UUID
    display_name: str
    login: str | None
    roles: list[Role]
    licences: list[ProfileLicence]
    notices: list[str]


class Export(BaseModel):
    """All that says who somebody is, and what is kept with it; bookings, invoices, results are shown elsewhere."""

    person: UUID
    login: str
    display_name: str
    registered_at: datetime
    roles: list[Role]
    disabled: bool
    second_factor: bool
    licences: list[ProfileLicence]
    entitlements: list[EntitlementView]
    logins: list[OpenLogin]


class RefusedOnTrial(BaseModel):
    """A booking that the rules on trial would refuse, and why."""

    booking: UUID
    person: UUID
    weapon_class: str
    starts_at: datetime
    ends_at: datetime
    rule: str
    reason: str


class RulesTrial(BaseModel):
    """What the rules on trial would refuse of what is booked until then: how many, and the first of them."""

    until: datetime
    tried: int
    refused: int
    complete: bool
    first: list[RefusedOnTrial]


class DeviceSecret(BaseModel):
    """A target's secret, told this once."""

    device: str
    lane: str
    secret: str


class DeviceToken(BaseModel):
    """A target's token and the lanes it is good for."""

    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - how it is sent, no secret
    access_token: str
    expires_in_s: int
    lanes: list[str]


class ServiceStatement(BaseModel):
    """The token with which a service's process registers as a producer."""

    token: str
    token_id: UUID
    issued_at: datetime
    expires_at: datetime
