"""The PostgreSQL that `firingline up` brings along where DATABASE_URL names none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from bus.errors import Refusal
from ops.credentials import superuser_password, write_private
from ops.data_folder import refuse_foreign
from ops.database import connected
from ops.postgres import Cluster
from ops.settings import Settings, embedded_database_file

DATABASE: Final = "firingline"
LOOK_S: Final = 0.2
TRIES: Final = 5


@asynccontextmanager
async def embedded_postgres(settings: Settings) -> AsyncIterator[Cluster]:
    """Run it over the home's data, and say in a file where it listens, for the other subcommands."""
    data, credentials = settings.home / "postgres", settings.home / "credentials"
    refuse_foreign(data)
    if data.exists() and not (credentials / "postgres.json").exists():
        raise Refusal(f"The password of {data} is gone: bring back {credentials}, or move {data} away.")
    cluster = Cluster(
        data,
        password=superuser_password(settings.home),
        port=settings.postgres_port,
        run_as=settings.postgres_user,
    )
    place = embedded_database_file(settings.home)
    try:
        await asyncio.to_thread(cluster.start)
        await _make_database(cluster)
        write_private(place, cluster.url(DATABASE) + "\n")
        yield cluster
    finally:
        await asyncio.to_thread(cluster.stop)
        place.unlink(missing_ok=True)


async def keep_running(cluster: Cluster, tell: Callable[[str], None]) -> None:
    """Start the server again whenever it dies; raise the Refusal of the last try when that cannot be done."""
    failures = 0
    while True:
        await asyncio.sleep(LOOK_S * 2**failures)
        if cluster.running:
            continue
        tell(f"PostgreSQL ended; it is started again (see {cluster.log}).")
        try:
            await asyncio.to_thread(cluster.start)
        except Refusal as refusal:
            failures += 1
            if failures == TRIES:
                raise
            tell(str(refusal))
        else:
            failures = 0


async def _make_database(cluster: Cluster) -> None:
    async with connected(cluster.url()) as connection:
        with suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
