"""`firingline up`: the whole range on this machine, from nothing to an address to open."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import click

from ops.child import Program
from ops.credentials import load_or_make
from ops.embedded import DATABASE, embedded_postgres, keep_running
from ops.home import occupied
from ops.migrate import bring_up_to_date
from ops.ports import wait_until_free
from ops.process import run
from ops.settings import VARIABLES, Settings, embedded_database_file
from ops.supervisor import Supervisor
from ops.welcome import welcome

CHILDREN_NOTICE_S: Final = 5.0  # after a hard end, those left behind need a moment to free their ports
GRACE_S: Final = 20.0  # each part has its own, shorter bound; this one is for what nobody thought of


def programs(settings: Settings) -> list[Program]:
    """Return what runs beside PostgreSQL, each a process of its own."""
    ours = (sys.executable, "-m", "ops.cli")
    return [
        Program("gateway", (*ours, "gateway")),
        *(
            Program(service if number == 1 else f"{service}-{number}", (*ours, "worker", service))
            for service, workers in settings.workers_of.items()
            for number in range(1, workers + 1)
        ),
    ]


@click.command()
@click.option("--workers", help="How many of each service, like 2 or booking=2,stats=3. [default: FIRINGLINE_WORKERS]")
def up(workers: str | None) -> None:
    """Start everything on this machine: PostgreSQL, the gateway and the services' workers, one each unless told.

    The first start makes the folder .firingline (FIRINGLINE_HOME names another) and loads a small demo range;
    later ones go on with the same data. Ctrl-C stops everything. With DATABASE_URL set, that server is used
    and none is started here. What the processes say is in .firingline/log.
    """
    given = {} if workers is None else {VARIABLES["workers"]: workers}
    settings = Settings.from_environment({**os.environ, **given})
    with occupied(settings.home):
        run(
            lambda stopping: keep_up(settings, programs(settings), stopping), "up", grace_s=GRACE_S, log_level="warning"
        )


async def keep_up(settings: Settings, children: Sequence[Program], stopping: asyncio.Event) -> None:
    """Start the database and the children, welcome the user, and keep all until `stopping` is set."""
    place = embedded_database_file(settings.home)
    patience_s = CHILDREN_NOTICE_S if place.exists() else 0  # its last owner had no time to remove it
    await wait_until_free(VARIABLES["port"], settings.host, settings.port, patience_s)
    await wait_until_free(VARIABLES["auth_port"], settings.auth_host, settings.auth_port, patience_s)
    async with _database(settings) as (admin_url, keep_database):
        settings = replace(settings, database_url=admin_url)
        _tell("Bringing the schema up to date.")
        await bring_up_to_date(admin_url, load_or_make(settings.home))
        if stopping.is_set():
            return
        _tell(f"Starting {', '.join(child.name for child in children)}.")
        environment = {
            VARIABLES["home"]: str(settings.home),
            VARIABLES["database_url"]: _without_password(admin_url),
            VARIABLES["workers"]: settings.workers,
        }
        async with Supervisor(children, settings.home / "log", _tell, environment) as supervisor:
            await _until(stopping, supervisor.failed(), keep_database(), welcome(settings, _tell))
            _tell("Stopping.")


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """Yield the URL of the database to use, and what keeps it running."""
    if settings.database_url is not None:
        yield settings.admin_url, partial(asyncio.sleep, 0)
        return
    _tell(f"Starting PostgreSQL over {settings.home / 'postgres'}.")
    async with embedded_postgres(settings) as cluster:
        yield cluster.url(DATABASE), partial(keep_running, cluster, _tell)


async def _until(stopping: asyncio.Event, *watched: Awaitable[None]) -> None:
    """Run these until `stopping` is set; what one of them raises is raised here."""
    asked = asyncio.ensure_future(stopping.wait())
    pending: set[asyncio.Future[Any]] = {asked, *map(asyncio.ensure_future, watched)}
    try:
        while not asked.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}@{place}" if user else place))


def _tell(sentence: str) -> None:
    click.echo(sentence)
    sys.stdout.flush()
