"""Booking's desk in a fresh database."""

from collections.abc import AsyncIterator

import pytest

from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import ADA, ANNA, BEN, CARL, INA, SET_UP, open_lane, registered, stocked


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    """Yield the desk with nothing on it."""
    connection = await database.connect("booking")
    yield Desk(connection)
    await connection.close()


@pytest.fixture
async def hall(desk: Desk) -> Desk:
    """Return the desk with a hall of two lanes, some people and two air pistols."""
    await desk.hears(
        registered(ANNA),
        registered(BEN),
        registered(INA, "shooter", "instructor"),
        registered(CARL, "cashier"),
        registered(ADA, "admin"),
        stocked(),
    )
    await desk.hears(SET_UP, by=f"person:{ADA}")
    await desk.hears(open_lane("lane-1", target_address="127.0.0.1:1090"), by=f"person:{ADA}")
    await desk.hears(open_lane("lane-2"), by=f"person:{ADA}")
    return desk
