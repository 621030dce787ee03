"""Services: enrolled by set-up with a secret and the names they may append, and given tokens that say so."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from asyncpg import Record

from bus.connection import Connection
from bus.errors import Rejected
from bus.producer import ServiceToken
from handlers.auth.desk import Desk, now
from handlers.auth.issuing import service_token
from handlers.auth.vault import secret_hash

log = structlog.get_logger(__name__)


class ServiceRefused(Rejected):
    """No service of this name has this secret."""


class NamesNotEnrolled(Rejected):
    """{service} may not append {names}."""


async def enrol(connection: Connection, secrets: Mapping[str, str], may_append: Mapping[str, Sequence[str]]) -> None:
    """Writes which services there are: their secrets, and what each may append. Set-up calls it as an admin."""
    for service in sorted(may_append):
        await _enrol(connection, service, secret_hash(secrets[service]), sorted(set(may_append[service])))


async def _enrol(connection: Connection, service: str, hashed: bytes, may_append: Sequence[str]) -> None:
    await connection.execute(
        """
        INSERT INTO auth.service_credential (service, secret_hash, may_append) VALUES ($1, $2, $3)
        ON CONFLICT (service) DO UPDATE
        SET secret_hash = excluded.secret_hash, may_append = excluded.may_append
        """,
        service,
        hashed,
        may_append,
    )


async def admit_service(desk: Desk, service: str, secret: str, boot: UUID, names: Sequence[str]) -> ServiceToken:
    """Gives a service's process the token with which it registers as a producer."""
    async with desk.transaction() as connection:
        row = await _find(connection, service)
        at = await now(connection)
    if row is None or not hmac.compare_digest(row["secret_hash"], secret_hash(secret)):
        log.warning("enrolment.refused", service=service)
        raise ServiceRefused
    beyond = sorted(set(names) - set(row["may_append"]))
    if beyond:
        log.warning("enrolment.not-enrolled", service=service, names=beyond)
        raise NamesNotEnrolled(service=service, names=", ".join(beyond))
    token = service_token(desk.signer.key_at(at), service, boot, names, at)
    log.info("enrolment.token-issued", service=service, boot=str(boot), token_id=str(token.token_id))
    return token


async def _find(connection: Connection, service: str) -> Record | None:
    return await connection.fetchrow(
        "SELECT secret_hash, may_append FROM service_credential WHERE service = $1", service
    )
