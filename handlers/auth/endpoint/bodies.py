"""What the endpoint is sent."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_address
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from bus.fields import EARLIEST, LATEST, Code, Moment
from handlers.auth.events import PublicKey
from handlers.auth.rule_set import RuleSet


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable characters in one line")
    return text


def _one_word(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("must not contain spaces")
    return text


def _address(text: str) -> str:
    return str(ip_address(text))


Line = Annotated[
    str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True), AfterValidator(_printable)
]
Login = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, strip_whitespace=True),
    AfterValidator(_printable),
    AfterValidator(_one_word),
]
Address = Annotated[str, StringConstraints(max_length=45), AfterValidator(_address)]
Day = Annotated[date, Field(ge=EARLIEST.date(), le=LATEST.date())]
Password = Annotated[SecretStr, Field(max_length=1024)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=256)]


class Body(BaseModel):
    """A request's body; what it holds is never repeated in an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Registration(Body):
    """Who wants an account."""

    login: Login
    password: Password
    display_name: Line


class Bootstrap(Registration):
    """Who becomes the first admin, by the secret that set-up made."""

    secret: Secret


class Attempt(Body):
    """Who wants to log in, and from where, as the gateway sees it."""

    login: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    password: Password
    code: Secret | None = None
    address: Address


class Refresh(Body):
    """The refresh token that is spent by this."""

    refresh_token: Secret


class PasswordChange(Body):
    """The password of now and the one to come."""

    old_password: Password
    new_password: Password
    code: Secret | None = None


class PasswordProof(Body):
    """The password once more."""

    password: Password


class CodeProof(Body):
    """The code that is shown now."""

    code: Secret


class FullProof(PasswordProof):
    """The password once more, and a code, or one of the recovery codes."""

    code: Secret


class LicenceEntry(Body):
    """What stands on a licence; days are those of the range's time zone, and the last one counts wholly."""

    category: Code
    number: Line
    authority: Line
    valid_from: Moment | Day
    valid_until: Moment | Day


class RulesOnTrial(Body):
    """A version of the rules that is to be tried before it is published."""

    rule_set: RuleSet


class DeviceEntry(Body):
    """A target and the lane it reports for; with a public key, it signs what it posts."""

    device: Code
    lane: Code
    public_key: PublicKey | None = Field(default=None, description="Ed25519, the 32 bytes as base64url without padding")


class DeviceProof(Body):
    """A target and its secret."""

    device: Code
    secret: Secret


class ServiceProof(Body):
    """A service, its secret, the start of its process, and the names it wants to append."""

    service: Code
    secret: Secret
    boot: UUID
    names: Annotated[list[Code], Field(min_length=1, max_length=200)]
