"""Who may use a route, as data: which token it takes, for whom it is open, and what the others may touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import structlog
from aiohttp import hdrs, web

from bus.tokens import DeviceClaims, TokenRefused, UserClaims
from gateway.keys import KeyRing
from gateway.problems import DATABASE_AWAY, NOT_PERMITTED, UNAUTHENTICATED, Problem, again_after
from gateway.revocations import Revocations
from handlers.auth.events import Role

CHALLENGE: Final[Mapping[str, str]] = {hdrs.WWW_AUTHENTICATE: "Bearer"}

C = TypeVar("C", UserClaims, DeviceClaims)

log = structlog.get_logger(__name__)


class Takes(Enum):
    """Which token a route takes."""

    NONE = "none"
    USER = "user"
    DEVICE = "device"


class Owner(Enum):
    """What must belong to a caller who has none of a route's roles; anything else looks absent."""

    PERSON = "person"  # the person in the path is the caller
    BOOKING = "booking"  # the booking in the path is the caller's
    REPORT = "report"  # the report in the path was ordered by the caller
    ROWS = "rows"  # the query behind the view keeps to what is the caller's
    BODY = "body"  # the person named in the body is the caller


@dataclass(frozen=True, slots=True)
class Access:
    """People in one of `roles` may do everything here; without `own`, nobody else may do anything."""

    takes: Takes
    roles: frozenset[Role] = frozenset()
    own: Owner | None = None
    everyone: bool = False  # whoever has a token of the right kind


PUBLIC: Final = Access(Takes.NONE)
DEVICE: Final = Access(Takes.DEVICE, everyone=True)
ANYBODY: Final = Access(Takes.USER, everyone=True)


def only(*roles: Role) -> Access:
    return Access(Takes.USER, frozenset(roles))


def own_or(own: Owner, *roles: Role) -> Access:
    return Access(Takes.USER, frozenset(roles), own)


class Caller(NamedTuple):
    """Who asks. `staff`: has one of the roles for which this route is open without regard to ownership."""

    actor: str
    person: UUID | None = None
    device: str | None = None
    lanes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    staff: bool = False
    issued_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def viewer(self) -> UUID:
        """The person who looks; on routes that take a user's token there is one."""
        assert self.person is not None
        return self.person


NOBODY: Final = Caller(actor="nobody")


async def admit(access: Access, keys: KeyRing, revocations: Revocations, request: web.Request) -> Caller:
    """Who asks, if it is somebody who may ask here at all; raises the problem otherwise.

    Where it cannot be known whether a token was revoked, nobody is admitted as staff.
    """
    match access.takes:
        case Takes.NONE:
            return NOBODY
        case Takes.DEVICE:
            device = await _claims(keys, request, DeviceClaims)
            return Caller(device.subject, device=device.device, lanes=frozenset(device.lanes))
        case Takes.USER:
            user = await _claims(keys, request, UserClaims)
            if revocations.revoked(user.person, user.issued_at):
                log.info("token.revoked", actor=user.subject, path=request.path)
                raise Problem(UNAUTHENTICATED, headers=CHALLENGE)
            roles = frozenset(user.roles)
            staff = not roles.isdisjoint(access.roles)
            if not (staff or access.own or access.everyone):
                log.warning("access.denied", actor=user.subject, method=request.method, path=request.path)
                raise Problem(NOT_PERMITTED)
            if staff and not await revocations.are_known():
                raise again_after(DATABASE_AWAY, 1)
            return Caller(
                user.subject,
                person=user.person,
                roles=roles,
                staff=staff,
                issued_at=user.issued_at,
                expires_at=user.expires_at,
            )


async def _claims(keys: KeyRing, request: web.Request, kind: type[C]) -> C:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(UNAUTHENTICATED, headers=CHALLENGE)
    try:
        return await keys.verify(token, kind)
    except TokenRefused as refused:
        log.info("token.refused", kind=kind.typ, why=str(refused), path=request.path)
        raise Problem(UNAUTHENTICATED, headers=CHALLENGE) from refused
