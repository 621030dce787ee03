"""The process of one service (or, on a small machine, of several): its ports are made here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import click

from bus.connection import Pool, close_pool, connect_pool
from bus.errors import Refusal
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.producer import ObtainToken, Registration, ServiceToken
from bus.tasks import unless
from bus.trust import Trust
from bus.worker import Worker
from handlers.auth.endpoint.server import serve
from handlers.auth.erasure_list import ErasureList
from handlers.auth.issuing import issue_service_token
from handlers.auth.signing import Signer, open_signer
from handlers.wiring import SERVICES
from ops.credentials import load
from ops.metrics import Metrics, shown
from ops.process import run
from ops.service_tokens import AuthClient, Statements
from ops.settings import Settings
from ops.sound import AUTH_POOL, WORKER_POOL, until_sound

MASTER_KEY_FILE: Final = "auth-master.key"
ERASURES: Final = "erasures.jsonl"


@click.command
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(SERVICES)))
def worker(names: Sequence[str]) -> None:
    """Run services by name: auth, booking, armory, payment, stats.

    A worker that is started a second time shares the work with the first, and takes it over if that one ends. Several
    names share one process. It needs the credentials that `firingline migrate` made, and the database
    in DATABASE_URL; auth's worker also serves the small HTTP endpoint from which the others get their tokens.
    """
    settings = Settings.from_environment()

    async def main(stopping: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(work(name, settings, stopping))
        except* Refusal as refusals:
            raise refusals.exceptions[0] from None

    run(main, "-".join(("worker", *names)))


async def work(name: str, settings: Settings, stopping: asyncio.Event) -> None:
    """Runs one service until `stopping` is set."""
    await unless(stopping, until_sound(settings, name))
    if stopping.is_set():
        return
    if name == "auth":
        await _work_as_auth(settings, stopping)
        return
    async with _pool(name, settings, WORKER_POOL) as pool:
        obtain = AuthClient(settings.auth_address, name, load(settings.home, name).secret).obtain
        await _run(_worker(name, settings, pool, obtain), name, settings, pool, stopping)


async def _work_as_auth(settings: Settings, stopping: asyncio.Event) -> None:
    """Auth needs nobody for its token, and serves its endpoint beside its consumer."""
    async with _pool("auth", settings, AUTH_POOL) as pool:
        signer = await open_signer(pool, settings.home / "credentials" / MASTER_KEY_FILE)
        made = _worker("auth", settings, pool, _own_token(pool, signer))
        await unless(stopping, made.registration.register())
        async with serve(
            pool,
            made.outbox,
            signer,
            host=settings.auth_host,
            port=settings.auth_port,
            bootstrap_secret=load(settings.home, "auth").secret,
            erasures=ErasureList(settings.home / ERASURES),
            staff_needs_second_factor=settings.staff_second_factor == "required",
        ):
            await _run(made, "auth", settings, pool, stopping)


async def _run(made: Worker, name: str, settings: Settings, pool: Pool, stopping: asyncio.Event) -> None:
    metrics = Metrics(name, made.bell, pool, [SERVICES[name]()])
    made.observe, made.delivered = metrics.observe, metrics.delivered
    metrics.share(lambda: made.partitions_held)
    made.consumers = tuple(SERVICES)
    async with shown(metrics, name, settings):
        await made.run(stopping)


def _worker(name: str, settings: Settings, pool: Pool, obtain: ObtainToken) -> Worker:
    service = SERVICES[name]()
    boot = uuid7()
    registration = Registration(pool, boot, service.may_append, obtain)
    trust = Trust(Statements(pool).verify)
    return Worker(service, settings.dsn(name), pool, boot, registration, trust, Outbox(service, registration))


def _own_token(pool: Pool, signer: Signer) -> ObtainToken:
    async def obtain(boot: UUID, names: Sequence[str]) -> ServiceToken:
        return await issue_service_token(pool, signer, "auth", boot, names)

    return obtain


@asynccontextmanager
async def _pool(name: str, settings: Settings, most: int) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings.dsn(name), f"firingline-{name}/pool", most=most)
    try:
        yield pool
    finally:
        await close_pool(pool)
