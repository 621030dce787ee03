from collections.abc import AsyncIterator

import pytest

from handlers.armory.commands import AddWeapon, AddWeaponType, StockAmmunition
from handlers.armory.service import service
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import ANNA, BORIS, CARLA, entitled, weapon


@pytest.fixture
async def armory(database: Database) -> AsyncIterator[Hearing]:
    """The armory's tables, still empty."""
    connection = await database.connect("armory")
    yield Hearing(service(), connection)
    await connection.close()


@pytest.fixture
async def stocked(armory: Hearing) -> Hearing:
    """An armoury with two air rifles, one pistol, and 100 cartridges 4.5 mm."""
    for code, weapon_class, calibre in (("air-rifle", "air", "4.5 mm"), ("sport-pistol", "smallbore", ".22 LR")):
        await armory.hears(
            AddWeaponType(weapon_type=code, weapon_class=weapon_class, calibre=calibre, title=code.capitalize())
        )
    for number, code in ((1, "air-rifle"), (2, "air-rifle"), (3, "sport-pistol")):
        await armory.hears(AddWeapon(weapon=weapon(number), weapon_type=code, serial=f"SN-2024-{number:03}"))
    await armory.hears(StockAmmunition(calibre="4.5 mm", rounds=100))
    for published in entitled(ANNA, BORIS, CARLA):
        await armory.hears(published)
    return armory
