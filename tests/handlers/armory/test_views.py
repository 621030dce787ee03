from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bus.connection import Connection
from handlers.armory.commands import IssueWeapon, ReturnWeapon
from handlers.armory.views import ammunition as ammunition_views
from handlers.armory.views import custody as custody_views
from handlers.armory.views import weapons as weapons_views
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    BORIS,
    CARLA,
    HOUR,
    booking,
    cancelled,
    checked_in,
    finished,
    terms,
    validated,
    weapon,
)
from tests.handlers.scenario import NOON


@pytest.fixture
async def gateway(stocked: Hearing, database: Database) -> AsyncIterator[Connection]:
    """The gateway's connection, after Anna had rifle 1 from noon to two, and Boris has it from three."""
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(IssueWeapon(booking=booking(1), weapon=weapon(1), rounds=40), by=AT_COUNTER)
    returned = ReturnWeapon(booking=booking(1), weapon=weapon(1), rounds_returned=10)
    await stocked.hears(returned, by=AT_COUNTER, at=NOON + 2 * HOUR)
    boris = terms(2, person=BORIS, starts_at=NOON + 3 * HOUR)
    await stocked.hears(validated(boris))
    await stocked.hears(checked_in(boris))
    await stocked.hears(IssueWeapon(booking=booking(2), weapon=weapon(1), rounds=5), by=AT_COUNTER, at=NOON + 3 * HOUR)
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


async def test_types_show_their_units_and_cartridges(gateway: Connection) -> None:
    pistol, rifle = sorted(await weapons_views.weapon_types(gateway), key=lambda one: one.units)
    assert (pistol.weapon_type, pistol.units, pistol.units_out, pistol.rounds_in_stock) == ("sport-pistol", 1, 0, 0)
    assert (rifle.weapon_type, rifle.units, rifle.units_out, rifle.rounds_in_stock) == ("air-rifle", 2, 1, 65)
    assert {one.calibre: one.rounds for one in await ammunition_views.ammunition(gateway)} == {"4.5 mm": 65}


async def test_serial_numbers_are_masked_but_for_staff(gateway: Connection) -> None:
    masked = await weapons_views.weapons(gateway, staff=False)
    assert [one.serial for one in masked] == ["***001", "***002", "***003"]
    assert [one.out for one in masked] == [True, False, False]
    whole = await weapons_views.weapons(gateway, staff=True, weapon_type="sport-pistol")
    assert [one.serial for one in whole] == ["SN-2024-003"]


async def test_a_short_serial_number_shows_nothing(gateway: Connection, stocked: Hearing) -> None:
    await stocked.connection.execute("UPDATE weapon SET serial = right(serial, 3)")
    assert {one.serial for one in await weapons_views.weapons(gateway, staff=False)} == {"***"}


@pytest.mark.parametrize(
    ("after", "held_by"),
    [(-1, None), (0, ANNA), (1, ANNA), (2, None), (2.5, None), (3, BORIS), (100, BORIS)],
)
async def test_custody_says_who_held_a_weapon_then(gateway: Connection, after: float, held_by: object) -> None:
    custody = await custody_views.custody(gateway, weapon(1), NOON + timedelta(hours=after))
    assert custody is not None
    assert custody.held_by == held_by
    assert custody.handed_by == (held_by and CARLA)
    assert (custody.since is None) == (held_by is None)


async def test_custody_of_an_unknown_weapon_is_unknown(gateway: Connection) -> None:
    assert await custody_views.custody(gateway, weapon(99), NOON) is None
    never_out = await custody_views.custody(gateway, weapon(2), NOON)
    assert never_out is not None
    assert never_out.held_by is None


async def test_the_custody_book_is_read_from_its_end(gateway: Connection) -> None:
    entries = await custody_views.handovers(gateway, weapon(1))
    assert [(one.entry, one.kind, one.from_person, one.to_person, one.rounds) for one in entries] == [
        (3, "issue", CARLA, BORIS, 5),
        (2, "return", ANNA, CARLA, 10),
        (1, "issue", CARLA, ANNA, 40),
    ]
    assert [one.entry for one in await custody_views.handovers(gateway, weapon(1), most=1)] == [3]


async def test_weapons_out_say_with_whom(gateway: Connection) -> None:
    (out,) = await weapons_views.weapons_out(gateway)
    assert (out.weapon, out.held_by, out.booking, out.serial) == (weapon(1), BORIS, booking(2), "SN-2024-001")


async def test_a_shooter_sees_his_own_reservation_only(gateway: Connection, stocked: Hearing) -> None:
    (own,) = await weapons_views.reservations(gateway, booking(1), viewer=ANNA, staff=False)
    assert (own.state, own.starts_at, own.ends_at) == ("kept", NOON, NOON + HOUR)
    assert await weapons_views.reservations(gateway, booking(1), viewer=BORIS, staff=False) == []
    assert await weapons_views.reservations(gateway, booking(1), viewer=CARLA, staff=True) == [own]

    await stocked.hears(finished(1))
    await stocked.hears(cancelled(2))
    states = [
        (await weapons_views.reservations(gateway, booking(n), viewer=CARLA, staff=True))[0].state for n in (1, 2)
    ]
    assert states == ["done", "released"]
