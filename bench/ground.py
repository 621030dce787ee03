"""The server that is measured on, and the databases that each bench makes there and leaves none of."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from bench.machine import in_memory
from bus.connection import Connection, Pool, close, close_pool, connect_pool
from bus.errors import Refusal
from bus.identity import uuid7
from bus.producer import Registration, ServiceToken
from handlers.auth.issuing import service_token
from handlers.auth.signing import Signer, open_signer
from ops.credentials import NAMES, load_or_make, superuser_password
from ops.data_folder import forget_dead_server
from ops.database import connect
from ops.home import occupied
from ops.migrate import bring_up_to_date
from ops.postgres import Cluster
from ops.settings import Settings
from ops.worker import MASTER_KEY_FILE

DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")
OFF: Final = frozenset({"off", "local", "remote_write"})


@asynccontextmanager
async def ground(settings: Settings, *, commit_ms: float = 0) -> AsyncIterator[Settings]:
    """Yields settings whose database_url is the server to measure on, with credentials in a folder of their own.

    Without a server in `settings` one is started over a folder on disk, and removed with it afterwards. There, each
    flush at COMMIT first waits for `commit_ms` milliseconds, so that it lasts as long as on a slower disk.
    """
    if settings.database_url is not None:
        if commit_ms:
            raise Refusal("A server that is not ours is not slowed down: leave out --commit-ms, or DATABASE_URL.")
        async with _a_server_given(settings) as ready:
            yield ready
        return
    folder = settings.home / "bench"
    with occupied(folder):
        try:
            if in_memory(folder):
                raise Refusal(f"{folder} lies in memory, where nothing lasts: set FIRINGLINE_HOME to a folder on disk.")
            await asyncio.to_thread(_clear, folder)
            with Cluster(
                folder / "postgres",
                password=superuser_password(folder),
                run_as=settings.postgres_user,
                settings=_slower(commit_ms),
            ) as own:
                yield replace(settings, home=folder, database_url=own.url())
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


@asynccontextmanager
async def database(server: Settings, name: str, *, copied_from: Settings | None = None) -> AsyncIterator[Settings]:
    """A database with the whole schema, for as long as it is needed; refuses one whose commits are not durable."""
    template = "template1" if copied_from is None else urlsplit(copied_from.admin_url).path.removeprefix("/")
    own = f"firingline_bench_{name}_{os.getpid()}"
    admin = await connect(server.admin_url)
    try:
        await admin.execute(f"CREATE DATABASE {own} TEMPLATE {template}")
        try:
            settings = replace(server, database_url=_beside(server.admin_url, own))
            await bring_up_to_date(settings.admin_url, load_or_make(settings.home))
            await refuse_unless_durable(settings)
            yield settings
        finally:
            await admin.execute(f"DROP DATABASE {own} WITH (FORCE)")
    finally:
        await close(admin)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url)
    try:
        yield connection
    finally:
        await close(connection)


async def refuse_unless_durable(settings: Settings) -> None:
    """What is fast because a power cut may lose it is not worth measuring."""
    async with connected(settings.dsn("gateway")) as connection:
        for name in DURABLE:
            if await connection.fetchval("SELECT current_setting($1)", name) in OFF:
                raise Refusal(
                    f"The server has {name} set so that commits are not durable: set it on, and measure then."
                )


@asynccontextmanager
async def signing(settings: Settings) -> AsyncIterator[tuple[Signer, datetime]]:
    """Auth's keys, and the moment by the database's clock."""
    async with _pool(settings, "auth") as pool:
        signer = await open_signer(pool, settings.home / "credentials" / MASTER_KEY_FILE)
        async with pool.acquire() as connection:
            yield signer, await connection.fetchval("SELECT clock_timestamp()")


@asynccontextmanager
async def registered(settings: Settings, service: str, names: list[str]) -> AsyncIterator[Registration]:
    """A producer with a token that auth signed, as every process of the range has one."""

    async def obtain(boot: UUID, wanted: Sequence[str]) -> ServiceToken:
        async with signing(settings) as (signer, at):
            return service_token(signer.key_at(at), service, boot, wanted, at)

    async with _pool(settings, service) as pool:
        registration = Registration(pool, uuid7(), names, obtain)
        await registration.register()
        yield registration


@asynccontextmanager
async def _pool(settings: Settings, role: str) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings.dsn(role), f"bench/{role}", most=2)
    try:
        yield pool
    finally:
        await close_pool(pool)


@asynccontextmanager
async def _a_server_given(settings: Settings) -> AsyncIterator[Settings]:
    """Works with copies of the credentials that the server's roles have already, if they have any."""
    async with connected(settings.admin_url) as admin:
        known = await admin.fetchval(
            "SELECT count(*) FROM pg_roles WHERE rolname = 'firingline_gateway' AND rolcanlogin"
        )
    credentials = [settings.home / "credentials" / f"{name}.json" for name in NAMES]
    if known and not all(path.exists() for path in credentials):
        raise Refusal(
            "The server has Firingline's roles already, and their credentials are not in "
            f"{settings.home / 'credentials'}: set FIRINGLINE_HOME to the folder that has them."
        )
    with tempfile.TemporaryDirectory(prefix="firingline-bench-") as folder:
        if known:
            copies = Path(folder) / "credentials"
            copies.mkdir(mode=0o700)
            for path in credentials:
                shutil.copy(path, copies)
        yield replace(settings, home=Path(folder))


def _slower(commit_ms: float) -> dict[str, str]:
    """As slow as that whoever commits: however few others there are, the one who flushes waits."""
    return {"commit_delay": str(round(commit_ms * 1000)), "commit_siblings": "0"} if commit_ms else {}


def _beside(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    head, _, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{database}" + (f"?{query}" if query else "")


def _clear(folder: Path) -> None:
    """Leaves nothing of an earlier run, however it ended, but the lock that we hold."""
    data = folder / "postgres"
    if data.exists():
        forget_dead_server(data)
    for path in folder.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
