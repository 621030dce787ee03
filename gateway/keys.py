"""Auth's public keys as the gateway knows them: read from its view, and read again when a token names a new one."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import structlog

from bus.connection import Pool, is_away
from bus.tokens import Claims, UnknownKey, Verifier
from gateway.problems import DATABASE_AWAY, again_after
from handlers.auth.views import public_keys

READ_EVERY_S: Final = 60.0
READ_AT_MOST_EVERY_S: Final = 5.0  # so that invented key names do not become a load on the database
RETRY_EVERY_S: Final = 0.5  # while there are none at all
ACQUIRE_TIMEOUT_S: Final = 2.0

C = TypeVar("C", bound=Claims)

log = structlog.get_logger(__name__)


class KeyRing:
    """Verifies tokens by the keys at hand."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._verifier = Verifier()
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self.known = False

    async def verify(self, token: str, kind: type[C]) -> C:
        """What a token of this kind says; raises TokenRefused. A key that is not known yet is looked up once."""
        try:
            return self._verifier.verify(token, kind)
        except UnknownKey:
            await self._read_unless_just_read()
            if not self.known:
                raise again_after(DATABASE_AWAY, 2) from None
        return self._verifier.verify(token, kind)

    async def run(self) -> None:
        """Reads the keys every minute, until cancelled; sooner while there are none."""
        while True:
            await self._read_unless_just_read()
            await asyncio.sleep(READ_EVERY_S if self.known else RETRY_EVERY_S)

    async def _read_unless_just_read(self) -> None:
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if now - self._read_at < (READ_AT_MOST_EVERY_S if self.known else RETRY_EVERY_S):
                return
            self._read_at = now
            try:
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    keys = await public_keys(connection)
            except Exception as error:
                if not is_away(error):
                    raise
                log.warning("keys.waits", error=repr(error))
                return
            self._verifier.replace(keys)
            self.known = self.known or bool(keys)
