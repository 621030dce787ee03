"""Being known to the log: a process registers the service token that auth signed for it, and renews it in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from bus.backoff import full_jitter
from bus.clock import now
from bus.connection import ACQUIRE_TIMEOUT_S, DATABASE_AWAY, PASSING, Pool

RENEW_AFTER_SHARE: Final = 0.5  # of the token's life
LOOK_EVERY_S: Final = 10.0  # at the clock: a machine that sleeps does not feel the time pass
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
        self._renew_at: datetime | None = None  # on this machine's clock, whatever auth's says
        self._renew_at_s = 0.0  # and on its monotonic one: whichever comes first
        self.id = 0

    async def register(self) -> None:
        """Obtains a token and registers it, waiting for auth and the database as long as it takes."""
        failures = 0
        while True:
            try:
                await self._renew()
            except (AuthAway, *DATABASE_AWAY, *PASSING) as away:
                failures += 1
                wait_s = full_jitter(failures, longest_s=RENEWAL_LONGEST_WAIT_S if self.id else 1.0)
                log.warning("producer.waiting-for-auth", error=repr(away), wait_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
            else:
                return

    async def keep(self) -> None:
        """Renews at half of each token's life, until cancelled."""
        while True:
            assert self._renew_at is not None, "register first"
            while (left_s := self._renew_at_s - time.monotonic()) > 0 and now() < self._renew_at:  # noqa: ASYNC110
                await asyncio.sleep(min(left_s, LOOK_EVERY_S))
            await self.register()

    async def _renew(self) -> None:
        token = await self._obtain(self._boot, self._names)
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            self.id = await connection.fetchval(
                "SELECT bus.register_producer($1, $2, $3, $4, $5)",
                self._boot,
                token.token_id,
                self._names,
                token.token,
                token.expires_at,
            )
        renew_after = (token.expires_at - token.issued_at) * RENEW_AFTER_SHARE
        self._renew_at = now() + renew_after
        self._renew_at_s = time.monotonic() + renew_after.total_seconds()
        log.info("producer.registered", producer=self.id, until=token.expires_at.isoformat())
