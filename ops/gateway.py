"""The gateway's process: its ports are made from the settings, and it serves until it is told to stop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import click
import structlog
from aiohttp import web

from bus.bell import Bell, Ringer
from bus.connection import Pool, close_pool, connect_pool, is_passing
from bus.errors import Refusal
from bus.group_commit import GroupCommit
from bus.identity import uuid7
from bus.maintenance import Maintenance
from bus.outcomes import Outcomes
from bus.producer import Registration
from bus.tail import Tail
from bus.tasks import running
from gateway.app import make_app
from gateway.auth_endpoint import AuthEndpoint
from gateway.devices import Devices
from gateway.keys import KeyRing
from gateway.ports import Ports
from gateway.pseudonyms import Pseudonyms
from gateway.rates import Rates
from gateway.revocations import Revocations
from gateway.server import Runner
from gateway.tracking.journal import Journal
from gateway.tracking.tracking import Tracking
from handlers.booking.views.lanes import targets
from handlers.wiring import SERVICES, may_append
from ops.credentials import load
from ops.metrics import Metrics, shown
from ops.process import run
from ops.service_tokens import AuthClient
from ops.settings import Settings
from ops.sound import GATEWAY_APPENDERS, GATEWAY_READERS, until_sound

NAME: Final = "gateway"
APPLICATION: Final = "firingline-gateway"
BACKLOG: Final = 1024
LOOK_AGAIN_S: Final = 0.5
FINISH_WITHIN_S: Final = 1.5

log = structlog.get_logger(__name__)


@click.command
def gateway() -> None:
    """Run the gateway: HTTP and targets in, the log out.

    It serves the API, the board and the documentation on FIRINGLINE_HOST and FIRINGLINE_PORT, connects to the
    electronic targets of all lanes, and appends what is asked and shot to the log in DATABASE_URL. It starts with
    nothing else there, and says in /health/ready what it is waiting for.
    """
    settings = Settings.from_environment()

    async def main(stopping: asyncio.Event) -> None:
        await serve(settings, stopping)

    run(main, NAME)


async def serve(settings: Settings, stopping: asyncio.Event) -> None:
    """Serves until `stopping` is set, and then answers what it has taken."""
    dsn, boot = settings.dsn(NAME), uuid7()
    async with _pool(dsn, "read", GATEWAY_READERS) as reads, _pool(dsn, "append", GATEWAY_APPENDERS) as appends:
        bell, ringer = Bell(dsn, APPLICATION), Ringer(dsn, APPLICATION)
        obtain = AuthClient(settings.auth_address, NAME, load(settings.home, NAME).secret).obtain
        registration = Registration(appends, boot, may_append()[NAME], obtain)
        metrics = Metrics(NAME, bell, appends, [make() for make in SERVICES.values()])
        commands = GroupCommit(appends, registration, ringer.ring, metrics.observe)
        outcomes, tail, keys = Outcomes(appends, bell), Tail(appends, bell), KeyRing(reads)
        auth, revocations = AuthEndpoint(settings.auth_address), Revocations(reads, bell)
        folder = settings.home / "tracking"
        tracking = Tracking(
            dsn=dsn,
            pool=appends,
            boot=boot,
            producer=registration,
            ring=ringer.ring,
            targets=targets,
            journal=Journal(folder / "frames", folder / "journal.key"),
            mappings=folder / "mappings",
        )
        ports = Ports(
            pool=reads,
            bell=bell,
            commands=commands,
            outcomes=outcomes,
            tail=tail,
            keys=keys,
            revocations=revocations,
            auth=auth,
            rates=Rates(settings.request_rate),
            devices=Devices(reads),
            targets=tracking,
            pseudonyms=Pseudonyms(load(settings.home, NAME).secret.encode()),
            registered=lambda: registration.id != 0,
        )
        maintenance = Maintenance(appends, boot, tuple(SERVICES))
        beside = (
            bell.run(),
            ringer.run(),
            _register(registration, settings),
            outcomes.run(),
            _follow(tail),
            keys.run(),
            revocations.run(),
            maintenance.run(),
        )
        async with (
            running(*beside),
            _finishing(tracking.run, commands.run),
            shown(metrics, NAME, settings),
            _listening(ports, settings),
        ):
            await stopping.wait()
        await auth.close()


async def _register(registration: Registration, settings: Settings) -> None:
    await until_sound(settings, NAME)
    await registration.register()
    await registration.keep()


async def _follow(tail: Tail) -> None:
    while True:
        try:
            await tail.open()
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("tail.waits", error=repr(error))
            await asyncio.sleep(LOOK_AGAIN_S)
        else:
            await tail.run()


@asynccontextmanager
async def _pool(dsn: str, purpose: str, most: int) -> AsyncIterator[Pool]:
    pool = await connect_pool(dsn, f"{APPLICATION}/{purpose}", most=most)
    try:
        yield pool
    finally:
        await close_pool(pool)


@asynccontextmanager
async def _finishing(*works: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs works beside a block; after it they are told to end, and have a moment for what they have begun."""
    closing = asyncio.Event()
    tasks = [asyncio.create_task(work(closing)) for work in works]
    async with running(_all(tasks)):
        try:
            yield
        finally:
            closing.set()
            await asyncio.wait(tasks, timeout=FINISH_WITHIN_S)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


@asynccontextmanager
async def _listening(ports: Ports, settings: Settings) -> AsyncIterator[None]:
    """Serves HTTP; at the end no more is taken, and what was taken is answered."""
    runner = Runner(make_app(ports))
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG).start()
        except OSError as error:
            raise Refusal(f"The gateway cannot listen on {settings.host}:{settings.port}: {error.strerror}.") from error
        log.info("gateway.listens", host=settings.host, port=settings.port)
        yield
    finally:
        await runner.cleanup()
