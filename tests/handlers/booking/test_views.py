"""What the gateway can read of booking, by its own role."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import asyncpg
import pytest

from handlers.booking.commands import BookSession, CheckIn, StartSession
from handlers.booking.events import OpeningHours
from handlers.booking.views.bookings import BookingsView, booking, bookings
from handlers.booking.views.lanes import LaneView, lanes, ranges, targets
from handlers.booking.views.offers import BEGUN, ELSEWHERE, NONE_LEFT, NOT_ENTITLED, TAKEN, SlotView
from handlers.booking.views.slots import slots
from handlers.payment.events import InvoiceSettled
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ALL_DAY,
    ANNA,
    BEN,
    INA,
    SET_UP,
    TERMS,
    entitled,
    invoiced,
    issued,
    open_lane,
    reserved,
    stocked,
    validated,
)

ONE, TWO, THREE = UUID(int=0xB01), UUID(int=0xB02), UUID(int=0xB03)
HOUR = timedelta(hours=1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


@pytest.fixture
async def today(hall: Desk) -> datetime:
    """Return the midnight before tomorrow's, in a hall that never closes and has slots of an hour."""
    await hall.hears(SET_UP.model_copy(update={"opening_hours": ALL_DAY, "slot_minutes": 60}))
    now: datetime = await hall.connection.fetchval("SELECT now()")
    hall.at = now
    return datetime.combine(now.date(), time.min, UTC)


def book(id_: UUID, who: UUID, lane: str, starts_at: datetime, *, own: bool = False) -> BookSession:
    return BookSession(
        booking=id_,
        person=who,
        lane=lane,
        starts_at=starts_at,
        ends_at=starts_at + HOUR,
        weapon_class="air",
        weapon_type=None if own else "air-pistol",
    )


async def confirm(hall: Desk, wish: BookSession) -> None:
    said = await hall.hears(wish)
    terms = said[0].message.terms  # type: ignore[attr-defined]
    await hall.hears(validated(terms), reserved(terms), invoiced(terms))


async def slot_of(gateway: asyncpg.Connection, starts_at: datetime, lane: str = "lane-1") -> SlotView:
    found = await slots(gateway, starts_at.date(), "hall", ANNA)
    assert found is not None
    of_lane = next(one for one in found.ranges[0].lanes if one.lane == lane)
    return next(one for one in of_lane.slots if one.starts_at == starts_at)


async def test_a_day_shows_what_a_shooter_may_shoot_when(
    hall: Desk, gateway: asyncpg.Connection, today: datetime
) -> None:
    tomorrow = today + timedelta(days=1)
    await hall.hears(open_lane("lane-1", weapon_classes=("air", "centrefire")))
    await hall.hears(stocked(), stocked("revolver", "centrefire"))
    await hall.hears(entitled(ANNA, ("air", today, tomorrow + 12 * HOUR), ("air", tomorrow + 12 * HOUR, FAR)))
    slot = await slot_of(gateway, tomorrow + 12 * HOUR)
    assert slot.free
    assert slot.own_weapon_classes == ("air",)
    assert [(one.weapon_type, one.units_free) for one in slot.weapon_types] == [("air-pistol", 2)]
    assert [(one.weapon_class, one.weapon_type, one.why) for one in slot.not_possible] == [
        ("centrefire", None, NOT_ENTITLED)
    ]


async def test_a_weapon_type_is_offered_as_long_as_one_unit_is_left(
    hall: Desk, gateway: asyncpg.Connection, today: datetime
) -> None:
    at = today + timedelta(days=1)
    await hall.hears(entitled(ANNA, ("air", today, FAR)), open_lane("lane-3"))
    await hall.hears(book(ONE, BEN, "lane-1", at))
    assert [one.units_free for one in (await slot_of(gateway, at, "lane-3")).weapon_types] == [1]
    await hall.hears(book(TWO, INA, "lane-2", at))
    slot = await slot_of(gateway, at, "lane-3")
    assert slot.weapon_types == ()
    assert [(one.weapon_type, one.why) for one in slot.not_possible] == [("air-pistol", NONE_LEFT)]
    assert [one.units_free for one in (await slot_of(gateway, at + HOUR, "lane-3")).weapon_types] == [2]


async def test_a_slot_that_cannot_be_booked_says_why(hall: Desk, gateway: asyncpg.Connection, today: datetime) -> None:
    at = today + timedelta(days=1)
    await hall.hears(book(ONE, ANNA, "lane-1", at), book(TWO, BEN, "lane-2", at + HOUR))
    assert (await slot_of(gateway, today)).why == BEGUN
    assert (await slot_of(gateway, at, "lane-1")).why == TAKEN
    assert (await slot_of(gateway, at, "lane-2")).why == ELSEWHERE
    assert (await slot_of(gateway, at + HOUR, "lane-2")).why == TAKEN
    assert (await slot_of(gateway, at + 2 * HOUR, "lane-2")).why is None


async def test_a_day_is_a_day_of_the_ranges_time_zone(hall: Desk, gateway: asyncpg.Connection, today: datetime) -> None:
    await hall.hears(SET_UP.model_copy(update={"opening_hours": ALL_DAY, "time_zone": "Pacific/Kiritimati"}))
    tomorrow = today.date() + timedelta(days=1)
    found = await slots(gateway, tomorrow, None, ANNA)
    assert found is not None
    first = found.ranges[0].lanes[0].slots[0]
    assert first.starts_at == datetime.combine(tomorrow, time.min, UTC) - timedelta(hours=14)


async def test_what_the_slots_offer_can_be_booked(hall: Desk, gateway: asyncpg.Connection, today: datetime) -> None:
    nights = tuple(OpeningHours(weekday=d, opens_minute=22 * 60, closes_minute=1440) for d in range(1, 8))
    await hall.hears(SET_UP.model_copy(update={"opening_hours": nights, "time_zone": "America/Havana"}))
    found = await slots(gateway, today.date() + timedelta(days=2), "hall", ANNA)
    assert found is not None
    offered = found.ranges[0].lanes[0].slots
    assert len(offered) == 4
    for n, slot in enumerate(offered):
        wish = book(UUID(int=n + 1), ANNA, "lane-1", slot.starts_at)
        await hall.hears(wish.model_copy(update={"ends_at": slot.ends_at}))
        assert await hall.state_of(wish.booking) == "held"


@pytest.mark.parametrize("day", [date.min, date(2001, 1, 1), date(2190, 1, 1), date.max])
@pytest.mark.usefixtures("hall")
async def test_a_day_out_of_reach_has_no_slots(gateway: asyncpg.Connection, day: date) -> None:
    found = await slots(gateway, day, "hall", ANNA)
    assert found is not None
    assert [one.slots for one in found.ranges[0].lanes] == [(), ()]


@pytest.mark.usefixtures("hall")
async def test_there_are_no_slots_of_a_range_that_is_not(gateway: asyncpg.Connection) -> None:
    assert await slots(gateway, date(2026, 6, 1), "nowhere", ANNA) is None


async def test_a_lane_shows_who_has_it_and_until_when(hall: Desk, gateway: asyncpg.Connection, today: datetime) -> None:
    async def lane_1() -> LaneView:
        return next(one for one in await lanes(gateway) if one.lane == "lane-1")

    assert ((await lane_1()).state, (await lane_1()).until) == ("free", None)
    hall.at = today
    this_hour: datetime = await hall.connection.fetchval("SELECT date_trunc('hour', now())")
    await hall.hears(book(ONE, BEN, "lane-1", this_hour + HOUR, own=True))
    assert ((await lane_1()).state, (await lane_1()).until) == ("free", this_hour + HOUR)
    await hall.hears(book(TWO, ANNA, "lane-1", this_hour, own=True))
    assert ((await lane_1()).state, (await lane_1()).until) == ("held", this_hour + HOUR)
    await hall.hears(invoiced(TERMS.model_copy(update={"booking": TWO})))
    assert (await lane_1()).state == "booked"
    hall.at = this_hour
    await hall.hears(CheckIn(booking=TWO))
    assert (await lane_1()).state == "checked-in"
    await hall.hears(StartSession(booking=TWO))
    assert ((await lane_1()).state, (await lane_1()).until) == ("in-use", this_hour + HOUR)


@pytest.mark.usefixtures("hall")
async def test_targets_are_the_lanes_that_have_one(gateway: asyncpg.Connection) -> None:
    assert [(one.lane, one.target_address) for one in await targets(gateway)] == [("lane-1", "127.0.0.1:1090")]


@pytest.mark.usefixtures("hall")
async def test_ranges_show_how_they_are_run(gateway: asyncpg.Connection) -> None:
    (found,) = await ranges(gateway)
    assert {name: getattr(found, name) for name in type(found).model_fields} == dict(SET_UP)


async def test_a_booking_is_seen_by_its_shooter_and_by_staff(
    hall: Desk, gateway: asyncpg.Connection, today: datetime
) -> None:
    await confirm(hall, book(ONE, ANNA, "lane-1", today + 24 * HOUR))
    await hall.hears(issued(ONE), InvoiceSettled(invoice=ONE, booking=ONE, settled_at=today))
    own = await booking(gateway, ONE, viewer=ANNA, staff=False)
    assert own is not None
    assert (own.state, own.paid, own.weapon_out, own.total_minor) == ("confirmed", True, True, 1190)
    assert own.check_in_from == own.starts_at - HOUR
    assert await booking(gateway, ONE, viewer=INA, staff=True) == own
    assert await booking(gateway, ONE, viewer=BEN, staff=False) is None
    assert await booking(gateway, TWO, viewer=INA, staff=True) is None


async def test_bookings_come_in_pages(hall: Desk, gateway: asyncpg.Connection, today: datetime) -> None:
    start = today + 24 * HOUR
    await hall.hears(*(book(UUID(int=9 - n), ANNA, "lane-1", start + n * HOUR) for n in range(5)))
    await hall.hears(book(UUID(int=99), BEN, "lane-2", start))

    async def page(after: UUID | None, viewer: UUID = ANNA) -> BookingsView:
        return await bookings(gateway, None, start, start + 4 * HOUR, 2, after, viewer=viewer, staff=False)

    first = await page(None)
    second = await page(first.next)
    assert [one.booking.int for one in (*first.bookings, *second.bookings)] == [9, 8, 7, 6]
    assert second.next is None
    assert (await page(first.next, viewer=BEN)).bookings == ()
    others = await bookings(gateway, BEN, None, None, 10, None, viewer=ANNA, staff=False)
    assert others.bookings == ()
    everybody = await bookings(gateway, None, None, None, 10, None, viewer=INA, staff=True)
    assert len(everybody.bookings) == 6
    of_ben = await bookings(gateway, BEN, None, None, 10, None, viewer=INA, staff=True)
    assert [one.person for one in of_ben.bookings] == [BEN]
