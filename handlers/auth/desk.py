"""What auth's endpoint works with, and on whose authority."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool
from bus.outbox import Outbox
from handlers.auth.erasure_list import ErasureList
from handlers.auth.events import Role
from handlers.auth.passwords import Hasher
from handlers.auth.signing import Signer
from handlers.auth.vault import Vault


@dataclass(frozen=True, slots=True)
class Caller:
    """A person whose token was verified, with those of its roles that are the person's at this moment."""

    person: UUID
    roles: frozenset[Role]

    @property
    def actor(self) -> str:
        return f"person:{self.person}"


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the way into the log, the keys, and the hasher of passwords."""

    pool: Pool
    outbox: Outbox
    signer: Signer
    hasher: Hasher
    erasures: ErasureList
    staff_needs_second_factor: bool = False

    @property
    def vault(self) -> Vault:
        return self.signer.vault

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            yield connection


async def now(connection: Connection) -> datetime:
    """The database's clock: the one by which tokens are issued and end."""
    at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return at
