"""Connecting again, for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bus.backoff import full_jitter

FIRST_S: Final = 0.25
LONGEST_S: Final = 10.0

log = structlog.get_logger(__name__)


async def over_and_over(
    name: str, connect: Callable[[], Awaitable[bool]], away: tuple[type[BaseException], ...]
) -> None:
    """Runs `connect` until cancelled. It says whether it heard anything; `away`: what it raises if nobody is there."""
    failures = 0
    while True:
        try:
            failures = 0 if await connect() else failures + 1
        except away as error:
            failures += 1
            if failures == 1:
                log.warning("source.away", source=name, error=repr(error))
        await asyncio.sleep(full_jitter(max(1, failures), first_s=FIRST_S, longest_s=LONGEST_S))
