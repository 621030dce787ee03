import asyncio
import os
import sys

import pytest

from ops.settings import VARIABLES
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
