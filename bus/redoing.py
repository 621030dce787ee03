"""Doing again at once what lost a race in the database; it counts as no failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog

from bus.backoff import full_jitter

AT_MOST: Final = 10
FIRST_WAIT_S: Final = 0.001
LONGEST_WAIT_S: Final = 0.05
LOST_RACES: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ExclusionViolationError,
    asyncpg.LockNotAvailableError,
)

log = structlog.get_logger(__name__)


async def redoing(work: Callable[[], Awaitable[None]]) -> None:
    """Does the work, and again while it only loses races; the last time its error goes on."""
    for redo in range(1, AT_MOST):
        try:
            await work()
        except LOST_RACES as error:
            log.info("work.redone", redo=redo, error=repr(error))
            await asyncio.sleep(full_jitter(redo, first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S))
        else:
            return
    await work()
