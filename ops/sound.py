"""Whether the database is fit to work on: asked once by every process, as soon as the database is there."""

import asyncio
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
WORKER_OWN: Final = 4  # bell, ringer, lease, work
REPORTS: Final = 3  # the lease of who makes them, and two that are being made
CONNECTIONS_TOGETHER: Final = (
    GATEWAY_READERS
    + GATEWAY_APPENDERS
    + GATEWAY_OWN
    + AUTH_POOL
    + WORKER_OWN
    + 4 * (WORKER_POOL + WORKER_OWN)
    + REPORTS
)
"""What one gateway and five workers open at the most."""

LONGEST_WAIT_S: Final = 2.0

log = structlog.get_logger(__name__)


async def until_sound(settings: Settings, name: str) -> None:
    """Returns once the database is there and fit to work on; raises a Refusal if it is there and is not."""
    failures = 0
    while True:
        try:
            connection = await connect(settings.dsn(name), f"firingline-{name}/self-check")
            try:
                await refuse_what_is_unsafe(connection, migrations=len(migrations()), connections=CONNECTIONS_TOGETHER)
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
