"""Being known to the log: a process registers the service token that auth signed for it, and renews it in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from bus.backoff import full_jitter
from bus.connection import DATABASE_AWAY, Pool

RENEW_AFTER_SHARE: Final = 0.5  # of the token's life
RENEWAL_LONGEST_WAIT_S: Final = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A signed statement of auth: this database role, in this boot, may append these names until then."""

    token: str
    token_id: UUID
    issued_at: datetime
    expires_at: datetime


class AuthAway(Exception):  # noqa: N818 - a passing state
    """Auth did not give a token now."""


ObtainToken = Callable[[UUID, Sequence[str]], Awaitable[ServiceToken]]
"""Asks auth for a token, for a boot and the names to append; raises AuthAway."""


class Registration:
    """A process's registration in bus.producer, kept current while `keep` runs."""

    def __init__(self, pool: Pool, boot: UUID, names: Sequence[str], obtain: ObtainToken) -> None:
        self._pool = pool
        self._boot = boot
        self._names = list(names)
        self._obtain = obtain
        self._token: ServiceToken | None = None
        self.id = 0

    async def register(self) -> None:
        """Obtains a token and registers it, waiting for auth and the database as long as it takes."""
        failures = 0
        while True:
            try:
                await self._renew()
            except (AuthAway, *DATABASE_AWAY) as away:
                failures += 1
                wait_s = full_jitter(failures, longest_s=RENEWAL_LONGEST_WAIT_S if self.id else 1.0)
                log.warning("producer.waiting-for-auth", error=repr(away), wait_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
            else:
                return

    async def keep(self) -> None:
        """Renews at half of each token's life, until cancelled."""
        while True:
            assert self._token is not None, "register first"
            life = self._token.expires_at - self._token.issued_at
            renew_at = self._token.issued_at + life * RENEW_AFTER_SHARE
            await asyncio.sleep(max(0.0, (renew_at - datetime.now(UTC)).total_seconds()))
            await self.register()

    async def _renew(self) -> None:
        token = await self._obtain(self._boot, self._names)
        async with self._pool.acquire(timeout=5.0) as connection:
            self.id = await connection.fetchval(
                "SELECT bus.register_producer($1, $2, $3, $4, $5)",
                self._boot,
                token.token_id,
                self._names,
                token.token,
                token.expires_at,
            )
        self._token = token
        log.info("producer.registered", producer=self.id, until=token.expires_at.isoformat())
