"""Booking and the armoury agree on what is free, whatever is booked, issued, returned and begun early or late."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.connection import Connection
from bus.errors import Rejected
from bus.message import Command, Event, Message
from bus.service import Given
from handlers.armory import reactions
from handlers.armory.commands import (
    AddWeapon,
    AddWeaponType,
    CancelServicePlan,
    IssueWeapon,
    PlanService,
    QuarantineWeapon,
    ReleaseWeapon,
    ReturnWeapon,
    ServiceWeapon,
)
from handlers.armory.events import WeaponReserved, WeaponReturned
from handlers.armory.model import times
from handlers.armory.service import service as armory_service
from handlers.armory.store.loads import load_demand
from handlers.booking.commands import BookSession, CancelBooking, CheckIn, FinishSession, StartSession
from handlers.booking.events import LaneHeld
from handlers.booking.model.hours import Span
from handlers.booking.service import service as booking_service
from handlers.booking.views.offers import FREELY, Offers
from handlers.booking.views.slots import situation_of
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import BORIS, CARLA, booking, entitled, terms, validated, weapon
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import SET_UP, invoiced, open_lane, registered
from tests.handlers.scenario import NOON

SLOT = timedelta(minutes=30)
STAFF = f"person:{CARLA}"
GRID = [Span(NOON + n * SLOT, NOON + (n + 1) * SLOT) for n in range(-4, 8)]
EVER = {"air": {FREELY: [Span(NOON - timedelta(days=9), NOON + timedelta(days=9))]}}
UNITS = 2


class Move(NamedTuple):
    after: timedelta
    message: Message


@dataclass
class House:
    """Both services, who hear each other at once."""

    desk: Desk
    armory: Hearing
    asker: int = 900

    async def ask(self, command: Message, at: datetime) -> None:
        self.desk.at = at
        if type(command) in {row.message for row in booking_service().hears}:
            told: list[Message] = [one.message for one in await self.desk.hears(command, by=STAFF)]
        else:
            told = []
            with suppress(Rejected):
                told = list(await self.armory.hears(command, by=STAFF, at=at))
        while told:
            told += await self._tell(told.pop(0), at)

    async def _tell(self, message: Message, at: datetime) -> list[Message]:
        """What both say to an event, and what auth and payment would say."""
        more: list[Message] = []
        if isinstance(message, LaneHeld):
            more.append(validated(message.terms))
        if isinstance(message, WeaponReserved):
            more.append(invoiced(message.terms))
        if isinstance(message, Event) and not message.name.startswith("booking."):
            more += [one.message for one in await self.desk.hears(message)]
        if isinstance(message, Event) and not message.name.startswith("armory."):
            more += await self.armory.hears(message, at=at)
        return more

    async def free_at_the_desk(self, at: datetime) -> dict[datetime, int]:
        situation = await situation_of(self.desk.connection, NOON.date(), BORIS, at)
        slots = Offers(GRID, replace(situation, entitled=EVER)).of_lane("spare", ("air",))
        return {
            slot.starts_at: sum(offer.units_free for offer in slot.weapon_types if offer.weapon_type == "air-rifle")
            for slot in slots
            if slot.free
        }

    async def free_in_the_armoury(self, slot: datetime, at: datetime) -> tuple[int, bool]:
        self.asker += 1
        asked = validated(terms(self.asker, starts_at=slot, lasts=SLOT))
        demand = await load_demand(self.armory.connection, asked)
        said = reactions.reserve(
            demand, asked, Given(at=at, id=booking(0), correlation=booking(0), actor="service:auth")
        )
        most = demand.taken.most(times.Span(slot, slot + SLOT), at)
        assert demand.weapon_type is not None
        return max(0, demand.weapon_type.units - most), isinstance(said[0], WeaponReserved)


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    armory = Hearing(armory_service(), await database.connect("armory"))
    await armory.hears(AddWeaponType(weapon_type="air-rifle", weapon_class="air", calibre="4.5 mm", title="Air rifle"))
    for number in range(1, UNITS + 1):
        await armory.hears(AddWeapon(weapon=weapon(number), weapon_type="air-rifle", serial=str(number)))
    for published in entitled(*(booking(500 + number) for number in range(1, 6))):
        await armory.hears(published)
    connection: asyncpg.Connection = await database.connect("postgres")
    await connection.execute("SET search_path = booking, bus")
    desk = Desk(connection)
    await desk.hears(registered(CARLA, "admin", "armourer", "instructor"))
    await desk.hears(SET_UP.model_copy(update={"early_check_in_minutes": 300, "no_show_minutes": 600}), by=STAFF)
    await desk.hears(*(open_lane(f"lane-{n}") for n in range(1, 5)), by=STAFF)
    await desk.hears(*(event for event in armory.log if event.name == "armory.weapon-type-stocked"))
    yield House(desk, armory)
    await connection.close()
    await armory.connection.close()


def book(number: int, lane: int, starts: int, slots: int) -> BookSession:
    return BookSession(
        booking=booking(number),
        person=booking(500 + number),
        lane=f"lane-{lane}",
        starts_at=NOON + starts * SLOT,
        ends_at=NOON + (starts + slots) * SLOT,
        weapon_class="air",
        weapon_type="air-rifle",
    )


numbers, units = st.integers(1, 5), st.integers(1, 2)
books = st.builds(book, numbers, st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))
usual = st.one_of(
    st.builds(lambda n: CheckIn(booking=booking(n)), numbers),
    st.builds(lambda n, u: IssueWeapon(booking=booking(n), weapon=weapon(u), rounds=0), numbers, units),
    st.builds(lambda n, u: ReturnWeapon(booking=booking(n), weapon=weapon(u), rounds_returned=0), numbers, units),
    st.builds(
        lambda kind, n: kind(booking=booking(n)), st.sampled_from([StartSession, FinishSession, CancelBooking]), numbers
    ),
)
looked_after = st.one_of(
    st.builds(
        lambda u, s, n: PlanService(weapon=weapon(u), starts_at=NOON + s * SLOT, minutes=n * 15),
        units,
        st.integers(-2, 5),
        st.integers(1, 6),
    ),
    st.builds(lambda u: PlanService(weapon=weapon(u)), units),
    st.builds(lambda u: CancelServicePlan(weapon=weapon(u)), units),
    st.builds(lambda u: QuarantineWeapon(weapon=weapon(u), reason="damaged"), units),
    st.builds(lambda u: ReleaseWeapon(weapon=weapon(u)), units),
    st.builds(lambda u: ServiceWeapon(weapon=weapon(u), work="cleaned"), units),
)
after = st.sampled_from([0, 0, 0, 5, 20, 45]).map(lambda n: timedelta(minutes=n))


@st.composite
def stories(draw: st.DrawFn) -> list[Message]:
    """What happens to a booking from its making on, with a step or two left out."""
    number, unit = draw(numbers), draw(units)
    story: list[Any] = [
        draw(st.builds(book, st.just(number), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))),
        CheckIn(booking=booking(number)),
        IssueWeapon(booking=booking(number), weapon=weapon(unit), rounds=0),
        StartSession(booking=booking(number)),
        ReturnWeapon(booking=booking(number), weapon=weapon(unit), rounds_returned=0),
        FinishSession(booking=booking(number)),
    ]
    return story[: draw(st.integers(1, 6))]


@st.composite
def days(draw: st.DrawFn) -> list[Move]:
    told = draw(st.lists(stories(), min_size=2, max_size=5))
    steps = [one for _ in range(6) for story in told if story for one in [story.pop(0)]]
    for message in draw(st.lists(st.one_of(usual, books, looked_after), max_size=8)):
        steps.insert(draw(st.integers(0, len(steps))), message)
    return [Move(draw(after), message) for message in steps]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(day=days())
async def test_both_agree_on_what_is_free_and_no_promise_is_broken(house: House, day: list[Move]) -> None:
    attempts = [one.connection.transaction() for one in (house.desk, house.armory)]
    for attempt in attempts:
        await attempt.start()
    at = NOON - 3 * SLOT
    try:
        for wait, message in day:
            at += wait
            await house.ask(message, at)
            for slot, units_free in (await house.free_at_the_desk(at)).items():
                assert await house.free_in_the_armoury(slot, at) == (units_free, units_free > 0)
            assert await crowd(house.armory.connection) <= UNITS
    finally:
        for attempt in attempts:
            await attempt.rollback()


async def crowd(connection: Connection) -> int:
    """How many reservations and planned services share one moment at most, those of unfit weapons too."""
    most = await connection.fetchval(
        """
        WITH promised AS (
            SELECT during FROM reservation WHERE NOT released
            UNION ALL SELECT planned FROM weapon WHERE planned IS NOT NULL)
        SELECT max((SELECT count(*) FROM promised AS o WHERE o.during @> lower(p.during))) FROM promised AS p
        """
    )
    return most or 0


async def told(house: House, *commands: Command, at: datetime) -> None:
    for command in commands:
        await house.ask(command, at)


async def test_a_weapon_that_is_late_is_free_for_nobody_until_it_is_back(house: House) -> None:
    for number in (1, 2):
        await told(
            house,
            book(number, number, 0, 1),
            CheckIn(booking=booking(number)),
            IssueWeapon(booking=booking(number), weapon=weapon(number), rounds=0),
            at=NOON,
        )
    late = NOON + SLOT
    assert set((await house.free_at_the_desk(late)).values()) == {0}
    assert await house.free_in_the_armoury(NOON + 6 * SLOT, late) == (0, False)
    (back,) = await house.armory.hears(
        ReturnWeapon(booking=booking(1), weapon=weapon(1), rounds_returned=0), by=STAFF, at=late
    )
    assert isinstance(back, WeaponReturned)
    await house.desk.hears(back)
    assert set((await house.free_at_the_desk(late)).values()) == {1}
    assert await house.free_in_the_armoury(NOON + 6 * SLOT, late) == (1, True)
