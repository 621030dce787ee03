"""Auth's counter in a fresh database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.database import Database
from tests.handlers.auth.counter import Counter, open_counter


@pytest.fixture
def master_key_file(tmp_path: Path) -> Path:
    return tmp_path / "credentials" / "auth-master.key"


@pytest.fixture
async def counter(database: Database, master_key_file: Path) -> AsyncIterator[Counter]:
    async with open_counter(database, master_key_file) as counter:
        yield counter
