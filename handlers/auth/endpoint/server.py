"""Runs the endpoint beside the consumer, in auth's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import structlog
from aiohttp import hdrs, web

from bus.connection import Pool, is_passing
from bus.errors import Refusal
from bus.outbox import Outbox
from bus.tasks import running
from handlers.auth import erasure, session_store, throttle
from handlers.auth.desk import Desk
from handlers.auth.endpoint.problems import answer_problems
from handlers.auth.endpoint.reading import LARGEST_BODY_BYTES
from handlers.auth.endpoint.routes import BOOTSTRAP_SECRET, DESK, ROUTES
from handlers.auth.erasure_list import ErasureList
from handlers.auth.passwords import Hasher
from handlers.auth.signing import Signer

KEEP_ALIVE_S: Final = 15.0
SHUTDOWN_S: Final = 2.0
UPKEEP_EVERY_S: Final = 60.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve(
    pool: Pool,
    outbox: Outbox,
    signer: Signer,
    *,
    host: str,
    port: int,
    bootstrap_secret: str,
    erasures: ErasureList,
    hasher: Hasher | None = None,
    staff_needs_second_factor: bool = False,
) -> AsyncIterator[int]:
    """Serves until the context is left; gives the port, which is a free one where 0 was asked for."""
    desk = Desk(pool, outbox, signer, hasher or Hasher(), erasures, staff_needs_second_factor)
    runner = web.AppRunner(
        application(desk, bootstrap_secret),
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_S,
        shutdown_timeout=SHUTDOWN_S,
    )
    try:
        await erasure.erase_again(desk)
        await runner.setup()
        async with running(_upkeep(desk)):
            bound = await _listen(runner, host, port)
            log.info("endpoint.listens", host=host, port=bound)
            yield bound
    finally:
        await runner.cleanup()
        desk.hasher.close()


def application(desk: Desk, bootstrap_secret: str) -> web.Application:
    app = web.Application(middlewares=[answer_problems], client_max_size=LARGEST_BODY_BYTES)
    app[DESK] = desk
    app[BOOTSTRAP_SECRET] = bootstrap_secret
    app.add_routes(ROUTES)
    app.on_response_prepare.append(_set_headers)
    return app


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise Refusal(f"Auth cannot listen on {host}, port {port}: {error.strerror}.") from error
    bound: int = runner.addresses[0][1]
    return bound


async def _set_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall(hdrs.SERVER, None)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


async def _upkeep(desk: Desk) -> None:
    """Learns of changed keys, and forgets what nobody needs any more."""
    while True:
        await asyncio.sleep(UPKEEP_EVERY_S)
        try:
            async with desk.transaction() as connection:
                await desk.signer.load(connection)
                await throttle.forget_old(connection)
                await session_store.forget_ended_sessions(connection)
        except Exception as error:
            if not is_passing(error) and not isinstance(error, asyncpg.InternalClientError):
                raise
            log.warning("endpoint.upkeep-waits", error=repr(error))
