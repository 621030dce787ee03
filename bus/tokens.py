"""Verifies the tokens that auth signs: for each kind one algorithm, one audience, one longest life."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar, cast
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bus.fields import Code

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "firingline-auth"
LEEWAY_S: Final = 30  # how far two machines' clocks may differ
LARGEST_BYTES: Final = 8192
CACHED_TOKENS: Final = 20_000
SIGNATURES: Final = jwt.PyJWS(algorithms=[ALGORITHM])

UUID_PATTERN: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Second = Annotated[int, Field(ge=0, lt=1 << 33, description="Unix time, up to the year 2242")]


class TokenRefused(Exception):  # noqa: N818 - a decision, not a fault
    """The token proves nothing here. The reason is for the log; whoever sent the token is not told."""


class UnknownKey(TokenRefused):
    """No key of this name is known: it is newer than the keys at hand, or invented."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of auth's, and when it signed."""

    kid: str
    key: Ed25519PublicKey
    not_before: datetime
    retired_at: datetime | None = None

    @classmethod
    def from_raw(cls, kid: str, raw: bytes, not_before: datetime, retired_at: datetime | None) -> Self:
        """Takes a key as auth publishes it, by its 32 bytes."""
        return cls(kid, Ed25519PublicKey.from_public_bytes(raw), not_before, retired_at)

    def signed_at(self, second: int) -> bool:
        """Whether the key was in use then, give or take the leeway."""
        return self.not_before.timestamp() - LEEWAY_S <= second and (
            self.retired_at is None or second <= self.retired_at.timestamp() + LEEWAY_S
        )


class Claims(BaseModel):
    """What every token says. `typ` is its kind, which its header names; `longest_s` the life it may have."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    typ: ClassVar[str]
    longest_s: ClassVar[int]

    iss: Literal["firingline-auth"]
    sub: str
    jti: UUID
    iat: Second
    exp: Second

    @property
    def subject(self) -> str:
        """Who this is, as the log's `actor` has it."""
        return self.sub

    @property
    def token_id(self) -> UUID:
        return self.jti

    @cached_property
    def issued_at(self) -> datetime:
        return datetime.fromtimestamp(self.iat, UTC)

    @cached_property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.exp, UTC)


class UserClaims(Claims):
    """A person, logged in at the gateway."""

    typ = "at+jwt"
    longest_s = 5 * 60

    aud: Literal["gateway"]
    sub: Annotated[str, StringConstraints(pattern=f"^person:{UUID_PATTERN}$")]
    roles: tuple[Code, ...]

    @cached_property
    def person(self) -> UUID:
        return UUID(self.sub.removeprefix("person:"))


class DeviceClaims(Claims):
    """A target that reports shots for its lanes."""

    typ = "device+jwt"
    longest_s = 15 * 60

    aud: Literal["gateway"]
    sub: Annotated[str, StringConstraints(pattern=r"^device:[a-z0-9][a-z0-9._-]{0,63}$")]
    lanes: tuple[Code, ...]

    @property
    def device(self) -> str:
        return self.sub.removeprefix("device:")


class ServiceClaims(Claims):
    """A process that appends to the log: under which database role, since which start, and which names."""

    typ = "service+jwt"
    longest_s = 60 * 60

    aud: Literal["bus"]
    sub: Annotated[str, StringConstraints(pattern=r"^service:[a-z0-9][a-z0-9._-]{0,63}$")]
    role: Code
    boot: UUID
    names: tuple[Code, ...]

    @property
    def service(self) -> str:
        return self.sub.removeprefix("service:")


C = TypeVar("C", bound=Claims)


@dataclass(frozen=True, slots=True)
class _Known:
    """Keys and what they verified, replaced together: no cached token outlives its key."""

    keys: Mapping[str, PublicKey]
    verified: dict[tuple[str, bytes], Claims] = field(default_factory=dict)


class Verifier:
    """Says what a token proves, by auth's keys: those of now, and those of the past for old statements.

    Tokens are remembered by their hash, never as such, and at most as many as CACHED_TOKENS.
    """

    def __init__(self, keys: Iterable[PublicKey] = (), *, clock: Callable[[], float] = time.time) -> None:
        self._known = _Known({key.kid: key for key in keys})
        self._clock = clock

    def replace(self, keys: Iterable[PublicKey]) -> None:
        """Takes other keys from now on; what the ones before verified is verified anew."""
        by_kid = {key.kid: key for key in keys}
        if by_kid != self._known.keys:
            self._known = _Known(by_kid)

    def verify(self, token: str, kind: type[C]) -> C:
        """Returns what a token of this kind says, if it holds now; raises TokenRefused."""
        verified, now = self._known.verified, self._clock()
        _check_size(token)
        digest = (kind.typ, sha256(token.encode()).digest())
        claims = cast("C | None", verified.get(digest))
        if claims is None:
            claims = _read(token, kind, self._known.keys)
            if claims.iat > now + LEEWAY_S:
                raise TokenRefused("issued in the future")
            while len(verified) >= CACHED_TOKENS:
                del verified[next(iter(verified))]
            verified[digest] = claims
        if claims.exp <= now - LEEWAY_S:
            del verified[digest]
            raise TokenRefused("expired")
        return claims

    def verify_statement(self, token: str) -> ServiceClaims:
        """Returns what a service token said, whenever that was; what an old producer might say."""
        _check_size(token)
        return _read(token, ServiceClaims, self._known.keys)


def _check_size(token: str) -> None:
    if len(token) > LARGEST_BYTES or not token.isascii():
        raise TokenRefused("too large, or not ASCII")


def _read(token: str, kind: type[C], keys: Mapping[str, PublicKey]) -> C:
    """Checks everything about a token but the present time."""
    try:
        key = _key_of(_header(token), kind, keys)
        payload: bytes = SIGNATURES.decode_complete(token, key.key, algorithms=[ALGORITHM])["payload"]
        _object(payload)
        claims = kind.model_validate_json(payload)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused(f"malformed: {type(error).__name__}") from error
    if not 0 < claims.exp - claims.iat <= kind.longest_s:
        raise TokenRefused("lives too long")
    if not key.signed_at(claims.iat):
        raise TokenRefused("its key was not in use when it was issued")
    return claims


def _header(token: str) -> dict[str, Any]:
    segment = token.partition(".")[0]
    return _object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def _key_of(header: Mapping[str, Any], kind: type[Claims], keys: Mapping[str, PublicKey]) -> PublicKey:
    if header.keys() != {"alg", "typ", "kid"}:
        raise TokenRefused("a header that is not ours")
    if header["alg"] != ALGORITHM or header["typ"] != kind.typ:
        raise TokenRefused("another algorithm or another kind")
    kid = header["kid"]
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise UnknownKey("no key of this name")
    return key


def _object(text: bytes) -> dict[str, Any]:
    """Parses an object that names nothing twice: parsers differ in which of two equal names they believe."""
    found = json.loads(text, object_pairs_hook=_once_each)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - to the caller it is malformed like any other
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same name twice")
    return found
