"""A range of one's own to play on: a fresh database, the gateway and the five workers, gone again afterwards."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from bus.errors import Refusal
from bus.identity import uuid7
from bus.tasks import running
from ops.address import address_of, ask
from ops.credentials import load, load_or_make
from ops.database import connect
from ops.embedded import DATABASE, embedded_postgres
from ops.migrate import bring_up_to_date
from ops.postgres import free_port
from ops.settings import VARIABLES, Settings
from ops.supervisor import Supervisor
from ops.up import programs

READY_S: Final = 60.0
LOOK_S: Final = 0.1

Tell = Callable[[str], None]


@dataclass
class OwnRange:
    """Where to play. Whoever sets `keep` finds everything still there afterwards."""

    home: Path
    address: str
    admin_url: str
    bootstrap_secret: str
    keep: bool

    @property
    def logs(self) -> Path:
        return self.home / "log"

    def keep_after_a_fault(self, kind: type[BaseException] | None, *_: object) -> None:
        """Used at a block's exit: what led to an exception is worth looking at."""
        self.keep |= kind is not None and issubclass(kind, Exception)


@asynccontextmanager
async def own_range(settings: Settings, tell: Tell, *, keep: bool) -> AsyncIterator[OwnRange]:
    """Starts everything: on a PostgreSQL of its own or, with DATABASE_URL, in a new database of that server."""
    home = Path(tempfile.mkdtemp(prefix="firingline-simulation-"))
    own = replace(
        settings,
        home=home,
        host="127.0.0.1",
        port=free_port(),
        auth_host="127.0.0.1",
        auth_port=free_port(),
        postgres_port=0,
    )
    made = OwnRange(home, address_of(own), "", "", keep)
    try:
        if settings.database_url is None:
            tell("Starting PostgreSQL.")
            async with embedded_postgres(own) as cluster:
                made.admin_url = cluster.url(DATABASE)
                async with _at_work(own, made, tell):
                    yield made
        else:
            load_or_make(settings.home)  # roles belong to the whole server: theirs are the passwords that it knows
            shutil.copytree(settings.home / "credentials", home / "credentials")
            async with fresh_database(settings.database_url, made, tell), _at_work(own, made, tell):
                yield made
    finally:
        if made.keep:
            tell(f"Kept: {home} (what the processes said is in {made.logs}).")
        else:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


@asynccontextmanager
async def fresh_database(server: str, made: OwnRange, tell: Tell) -> AsyncIterator[None]:
    """A new database on somebody's server."""
    name = f"firingline_simulation_{uuid7().hex[-12:]}"
    try:
        await _execute(server, f"CREATE DATABASE {name}")
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refusal(f"A database for the simulation cannot be made there: {error}.") from None
    made.admin_url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    try:
        yield
    finally:
        if made.keep:
            tell(f"Kept: the database {name}.")
        else:
            await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: str, statement: str) -> None:
    connection = await connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def _at_work(own: Settings, made: OwnRange, tell: Tell) -> AsyncIterator[None]:
    """The schema, and the processes over it."""
    await bring_up_to_date(made.admin_url, load_or_make(own.home))
    made.bootstrap_secret = load(own.home, "auth").secret
    tell("Starting the gateway and the services' workers.")
    environment = {
        VARIABLES["home"]: str(own.home),
        VARIABLES["database_url"]: _without_password(made.admin_url),
        VARIABLES["host"]: own.host,
        VARIABLES["port"]: str(own.port),
        VARIABLES["auth_host"]: own.auth_host,
        VARIABLES["auth_port"]: str(own.auth_port),
        VARIABLES["workers"]: own.workers,
    }
    async with Supervisor(programs(own), made.logs, tell, environment) as supervisor, running(supervisor.failed()):
        await _until_ready(made)
        yield


async def _until_ready(made: OwnRange) -> None:
    deadline_s = time.monotonic() + READY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while (answer := await ask(session, f"{made.address}/health/ready")) != "200":
            if time.monotonic() > deadline_s:
                raise Refusal(f"The gateway was not ready within {READY_S:.0f} s ({answer}): see {made.logs}.")
            await asyncio.sleep(LOOK_S)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
