from collections.abc import AsyncIterator

import pytest

from handlers.payment.service import service
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.payment.made import publish


@pytest.fixture
async def unpriced(database: Database) -> AsyncIterator[Hearing]:
    """Payment's tables, still empty."""
    connection = await database.connect("payment")
    yield Hearing(service(), connection)
    await connection.close()


@pytest.fixture
async def payment(unpriced: Hearing) -> Hearing:
    """Payment with a price list: 18.00 EUR the hour, 6.00 the rifle, 0.05 the cartridge, 20 % tax contained."""
    await unpriced.hears(publish())
    return unpriced
