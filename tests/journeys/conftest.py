import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.database import Database
from tests.journeys.processes import Processes


@pytest.fixture
async def processes(database: Database, tmp_path: Path) -> AsyncIterator[Processes]:
    """The gateway and five workers, each a process, on the test's own database."""
    # What the gateway of another test kept, and its own database had no time for, would stand in this one's.
    shutil.rmtree(database.settings.home / "tracking", ignore_errors=True)
    async with Processes(database, tmp_path) as running:
        yield running
