from collections.abc import AsyncIterator

import pytest

from tests.database import Database
from tests.handlers.stats.at_work import Range, range_at_work


@pytest.fixture
async def at_work(database: Database) -> AsyncIterator[Range]:
    async with range_at_work(database) as found:
        yield found
