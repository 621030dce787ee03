import asyncio
import os
import sys
from dataclasses import replace

import pytest

from bus.errors import Refusal
from ops.settings import VARIABLES, Settings
from ops.sound import WORKER_OWN, WORKER_POOL, connections_together, until_sound
from tests.database import Database


@pytest.mark.parametrize("command", [("worker", "booking"), ("gateway",)], ids="-".join)
async def test_a_process_refuses_to_work_on_a_database_that_forgets(database: Database, command: tuple[str, ...]):
    admin = await database.connect("postgres")
    await admin.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    await admin.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", *command),
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            VARIABLES["home"]: str(database.settings.home),
            VARIABLES["database_url"]: database.settings.admin_url,
            VARIABLES["port"]: "0",
        },
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert "synchronous_commit is off" in said.decode().splitlines()[-1]


async def test_connections_are_counted_for_as_many_workers_as_there_are_to_be(database: Database) -> None:
    """What is counted is what processes open: pools at their most, and each worker's own."""
    assert connections_together(Settings().workers_of) == 64
    more = connections_together(Settings(workers="booking=3").workers_of) - 64
    assert more == 2 * (WORKER_POOL + WORKER_OWN)
    many = replace(database.settings, workers="16")
    with pytest.raises(Refusal, match=r"all processes may open \d+ connections, .*: raise max_connections"):
        await until_sound(many, "booking")
    await until_sound(replace(database.settings, workers="2"), "booking")
