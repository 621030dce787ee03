"""Real PostgreSQL for every test that asks for it: one server for the run, a fresh database for each test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from ops.credentials import load_or_make
from ops.migrate import bring_up_to_date
from ops.postgres import Cluster
from ops.settings import Settings
from tests.database import Database

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 1 << 30
PREFIX = "firingline-tests-"
TEMPLATE = "template_firingline"
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Return a folder for the run's server and credentials, in memory where there is enough."""
    memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    place = MEMORY if memory else Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):  # by runs that were killed
        if not psutil.pid_exists(int(left.name.removeprefix(PREFIX).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def cluster(home: Path) -> Iterator[Cluster]:
    """Run PostgreSQL 18 for the whole run."""
    with Cluster(home / "postgres", password="superuser of a test") as running:
        yield running


@pytest.fixture(scope="session")
def template(cluster: Cluster, home: Path) -> str:
    """Make a database with the whole schema, from which each test's own is copied."""

    async def make() -> None:
        connection = await asyncpg.connect(cluster.url())
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        await bring_up_to_date(cluster.url(TEMPLATE), load_or_make(home))

    asyncio.run(make())
    return TEMPLATE


@pytest.fixture
async def database(cluster: Cluster, home: Path, template: str) -> AsyncIterator[Database]:
    """Give the test a database of its own."""
    name = f"test_{next(numbers)}"
    admin = await asyncpg.connect(cluster.url())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield Database(name, Settings(home=home, database_url=cluster.url(name)))
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()
