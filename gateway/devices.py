"""Which targets may report for which lane, as auth's view says; while the database is away, as it said last."""

from __future__ import annotations

from typing import Final

import structlog

from bus.connection import Pool, is_passing
from gateway.problems import DATABASE_AWAY, again_after
from handlers.auth.views import DeviceView, device

ACQUIRE_TIMEOUT_S: Final = 2.0
REMEMBERED: Final = 1_000

log = structlog.get_logger(__name__)


class Devices:
    """Looks a target up at each of its posts, so that one that was revoked is heard no more."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last: dict[str, DeviceView | None] = {}

    async def find(self, name: str) -> DeviceView | None:
        """The target, if it may report; raises the problem where that cannot be known."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                found = await device(connection, name)
        except Exception as error:
            if not is_passing(error):
                raise
            if name not in self._last:
                raise again_after(DATABASE_AWAY, 1) from error
            log.warning("devices.as-last-known", device=name, error=repr(error))
            return self._last[name]
        while len(self._last) >= REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[name] = found
        return found
