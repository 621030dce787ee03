"""Whether the database is fit to work on: asked once by every process, as soon as the database is there."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from bus.backoff import full_jitter
from bus.connection import close, connect, is_passing
from bus.self_check import refuse_what_is_unsafe
from ops.migrate import migrations
from ops.settings import Settings

GATEWAY_READERS: Final = 10
GATEWAY_APPENDERS: Final = 8
GATEWAY_OWN: Final = 3  # bell, ringer, the leases of targets
AUTH_POOL: Final = 8
WORKER_POOL: Final = 3
WORKER_OWN: Final = 4  # bell, ringer, heartbeat, work
REPORTS: Final = 2  # that are being made
STATS_OWN: Final = 1  # the lease of who makes reports
LONGEST_WAIT_S: Final = 2.0

log = structlog.get_logger(__name__)


def connections_together(workers_of: Mapping[str, int]) -> int:
    """How many connections one gateway and so many workers of each service open at the most."""
    workers = sum(
        many * (WORKER_OWN + (AUTH_POOL if name == "auth" else WORKER_POOL)) for name, many in workers_of.items()
    )
    gateway = GATEWAY_READERS + GATEWAY_APPENDERS + GATEWAY_OWN
    return gateway + workers + workers_of["stats"] * STATS_OWN + REPORTS


async def until_sound(settings: Settings, name: str) -> None:
    """Returns once the database is there and fit to work on; raises a Refusal if it is there and is not."""
    failures = 0
    while True:
        try:
            connection = await connect(settings.dsn(name), f"firingline-{name}/self-check")
            try:
                await refuse_what_is_unsafe(
                    connection,
                    migrations=len(migrations()),
                    connections=connections_together(settings.workers_of),
                )
            finally:
                await close(connection)
        except Exception as error:
            if not is_passing(error):
                raise
            failures += 1
            log.warning("database.away", error=repr(error), failures=failures)
            await asyncio.sleep(full_jitter(failures, longest_s=LONGEST_WAIT_S))
        else:
            return
