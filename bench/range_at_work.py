"""The range's own processes over a bench's database: as `firingline up` starts them, on ports of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import aiohttp

from bus.errors import Refusal
from bus.tasks import running
from ops.address import address_of
from ops.child import Program
from ops.postgres import free_port
from ops.settings import VARIABLES, Settings
from ops.supervisor import Supervisor

READY_WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 0.1

Readiness = Mapping[str, Any]
NOTHING: Final[Readiness] = {"ready": False, "registered": False}


@asynccontextmanager
async def at_work(
    log: Settings, programs: Sequence[Program], ready: Callable[[Readiness], bool]
) -> AsyncIterator[Settings]:
    """Runs programs until the block ends; yields, once they are ready, settings that say where the gateway is."""
    settings = replace(log, host="127.0.0.1", port=free_port(), auth_host="127.0.0.1", auth_port=free_port())
    chosen = {
        VARIABLES[name]: str(getattr(settings, name)) for name in ("home", "host", "port", "auth_host", "auth_port")
    }
    environment = {VARIABLES["database_url"]: settings.admin_url, VARIABLES["request_rate"]: "0", **chosen}
    async with (
        Supervisor(programs, settings.home / "log", _nobody_listens, environment) as supervisor,
        running(supervisor.failed()),
    ):
        await _until(ready, address_of(settings))
        yield settings


def program(name: str, *arguments: str) -> Program:
    return Program(name, (sys.executable, "-m", "ops.cli", *arguments))


async def _until(ready: Callable[[Readiness], bool], address: str) -> None:
    """Looks at what the gateway says of itself until that is enough."""
    found: Readiness = NOTHING
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with asyncio.timeout(READY_WITHIN_S), aiohttp.ClientSession(timeout=timeout) as session:
            while not ready(found := await _readiness(session, f"{address}/health/ready")):  # noqa: ASYNC110 - far away
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise Refusal(f"The range was not at work within {READY_WITHIN_S:.0f} s; it says {found}.") from None


async def _readiness(session: aiohttp.ClientSession, url: str) -> Readiness:
    try:
        async with session.get(url) as response:
            found: Readiness = await response.json()
            return found
    except (aiohttp.ClientError, TimeoutError):
        return NOTHING


def _nobody_listens(sentence: str) -> None:
    del sentence
