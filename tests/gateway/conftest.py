from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.database import Database
from tests.gateway.gate import Gate, open_gate


@pytest.fixture
async def gate(database: Database, tmp_path: Path) -> AsyncIterator[Gate]:
    async with open_gate(database, tmp_path) as gate:
        yield gate
