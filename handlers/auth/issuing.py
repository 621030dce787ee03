"""Makes tokens. What each kind must look like is said in bus.tokens, where they are verified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from bus.connection import ACQUIRE_TIMEOUT_S, Pool
from bus.errors import Refusal
from bus.identity import uuid7
from bus.producer import ServiceToken
from bus.tokens import ALGORITHM, ISSUER, LARGEST_BYTES, Claims, DeviceClaims, ServiceClaims, UserClaims
from handlers.auth.signing import Signer, SigningKey


def user_token(key: SigningKey, person: UUID, roles: Iterable[str], at: datetime) -> str:
    own = {"aud": "gateway", "sub": f"person:{person}", "roles": sorted(roles)}
    return _signed(key, UserClaims, own, uuid7(), at)


def device_token(key: SigningKey, device: str, lanes: Iterable[str], at: datetime) -> str:
    own = {"aud": "gateway", "sub": f"device:{device}", "lanes": sorted(lanes)}
    return _signed(key, DeviceClaims, own, uuid7(), at)


def service_token(key: SigningKey, service: str, boot: UUID, names: Iterable[str], at: datetime) -> ServiceToken:
    """A statement that a process of this service, in this boot, may append these names."""
    token_id = uuid7()
    own = {
        "aud": "bus",
        "sub": f"service:{service}",
        "role": f"firingline_{service}",
        "boot": str(boot),
        "names": sorted(set(names)),
    }
    token = _signed(key, ServiceClaims, own, token_id, at)
    if len(token) > LARGEST_BYTES:
        raise Refusal(f"{service} says too many kinds of message to fit into one token.")
    issued = int(at.timestamp())
    return ServiceToken(token, token_id, _moment(issued), _moment(issued + ServiceClaims.longest_s))


async def issue_service_token(
    pool: Pool, signer: Signer, service: str, boot: UUID, names: Sequence[str]
) -> ServiceToken:
    """Gives auth's own process its token; the others ask the endpoint for theirs."""
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
        await signer.load(connection)
    return service_token(signer.key_at(at), service, boot, names, at)


def _signed(key: SigningKey, kind: type[Claims], own: Mapping[str, Any], token_id: UUID, at: datetime) -> str:
    issued = int(at.timestamp())
    payload = {"iss": ISSUER, "jti": str(token_id), "iat": issued, "exp": issued + kind.longest_s, **own}
    return jwt.encode(payload, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": kind.typ})


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
