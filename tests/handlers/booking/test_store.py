"""Booking on a real database: what is loaded, what is written, and what the database refuses by itself."""

import asyncio
from itertools import permutations
from uuid import UUID

import asyncpg

from bus.message import Event
from handlers.auth.events import RolesAssigned
from handlers.booking.commands import (
    CancelBooking,
    CheckIn,
    ExpireHold,
    FinishSession,
    ReleaseNoShow,
    StartSession,
)
from handlers.booking.events import BookingRejected
from handlers.payment.events import InvoiceSettled
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    INA,
    TERMS,
    WEAPON,
    clock,
    entitled,
    invoiced,
    issued,
    person,
    registered,
    reserved,
    returned,
    stocked,
    validated,
)

OTHER = UUID(int=0xB01)


async def confirm(desk: Desk) -> None:
    await desk.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))


async def test_a_booking_goes_from_the_wish_to_the_finish(hall: Desk) -> None:
    states = []
    for at, message, by in [
        (clock(12), BOOK, ANNA),
        (clock(12), validated(TERMS), ANNA),
        (clock(12), reserved(TERMS), ANNA),
        (clock(12), invoiced(TERMS), ANNA),
        (clock(13), CheckIn(booking=BOOKING), ANNA),
        (clock(13), issued(BOOKING), INA),
        (clock(14), StartSession(booking=BOOKING), ANNA),
        (clock(15), returned(BOOKING), INA),
        (clock(15), FinishSession(booking=BOOKING), INA),
    ]:
        hall.at = at
        await hall.hears(message, by=person(by))
        states.append(await hall.state_of(BOOKING))
    assert states == ["held"] * 3 + ["confirmed"] + ["checked-in"] * 2 + ["in-use"] * 2 + ["finished"]
    assert hall.answers[BOOKING] == ["done"]
    assert await hall.scheduled() == {}


async def test_what_is_due_later_is_in_the_schedule(hall: Desk) -> None:
    await hall.hears(BOOK, by=person(ANNA))
    assert await hall.scheduled() == {f"hold:{BOOKING}": clock(12, 1)}
    await hall.hears(validated(TERMS), reserved(TERMS), invoiced(TERMS))
    assert await hall.scheduled() == {f"no-show:{BOOKING}": clock(14, 15)}
    await hall.hears(CancelBooking(booking=BOOKING), by=person(ANNA))
    assert await hall.scheduled() == {}


async def test_a_hold_that_expired_frees_the_lane_and_answers_the_wish(hall: Desk) -> None:
    await hall.hears(BOOK, validated(TERMS), by=person(ANNA))
    said = await hall.hears(ExpireHold(booking=BOOKING), by="service:booking")
    assert isinstance(said[0].message, BookingRejected)
    assert "armory" in said[0].message.reason
    assert hall.answers[BOOKING] == ["rejected"]
    again = BOOK.model_copy(update={"booking": OTHER})
    await hall.hears(again, by=person(ANNA))
    assert await hall.state_of(OTHER) == "held"
    assert await hall.hears(invoiced(TERMS)) == []


async def test_cancelling_a_held_booking_answers_both_commands(hall: Desk) -> None:
    await hall.hears(BOOK, by=person(ANNA))
    said = await hall.hears(CancelBooking(booking=BOOKING), by=person(ANNA))
    assert hall.answers[BOOKING] == ["rejected"]
    assert [one.status for one in said] == ["rejected", "done"]
    assert await hall.state_of(BOOKING) == "cancelled"


async def test_who_does_not_come_loses_the_lane(hall: Desk) -> None:
    await confirm(hall)
    await hall.hears(ReleaseNoShow(booking=BOOKING), by="service:booking")
    assert await hall.state_of(BOOKING) == "no-show"
    assert await hall.refuses(CheckIn(booking=BOOKING), by=person(ANNA)) == "not-confirmed"


async def test_a_taken_slot_is_refused_and_its_neighbours_are_not(hall: Desk) -> None:
    await hall.hears(BOOK, by=person(ANNA))
    inside = BOOK.model_copy(update={"booking": OTHER, "person": BEN, "ends_at": clock(14, 30)})
    assert await hall.refuses(inside, by=person(BEN)) == "slot-taken"
    after = inside.model_copy(update={"starts_at": clock(15), "ends_at": clock(15, 30)})
    await hall.hears(after, by=person(BEN))
    assert await hall.state_of(OTHER) == "held"


async def test_a_shooter_is_not_booked_on_two_lanes_at_once(hall: Desk) -> None:
    await hall.hears(BOOK, by=person(ANNA))
    beside = BOOK.model_copy(update={"booking": OTHER, "lane": "lane-2"})
    assert await hall.refuses(beside, by=person(ANNA)) == "shooter-elsewhere"


async def test_a_time_the_wrong_way_round_is_refused_by_a_rule(hall: Desk) -> None:
    backwards = BOOK.model_copy(update={"starts_at": clock(15), "ends_at": clock(14)})
    assert await hall.refuses(backwards, by=person(ANNA)) == "ends-before-start"


async def test_a_session_that_begins_early_takes_the_lane_from_then_on(hall: Desk) -> None:
    await confirm(hall)
    hall.at = clock(13, 5)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), StartSession(booking=BOOKING), by=person(ANNA))
    assert await hall.state_of(BOOKING) == "in-use"
    between = BOOK.model_copy(
        update={"booking": OTHER, "person": BEN, "starts_at": clock(13, 30), "ends_at": clock(14)}
    )
    assert await hall.refuses(between, by=person(BEN)) == "slot-taken"


async def test_a_session_does_not_begin_early_on_a_lane_that_is_promised(hall: Desk) -> None:
    await confirm(hall)
    before = {"booking": OTHER, "person": BEN, "starts_at": clock(13), "ends_at": clock(13, 30)}
    await hall.hears(BOOK.model_copy(update=before), by=person(BEN))
    hall.at = clock(13, 5)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), by=person(ANNA))
    assert await hall.refuses(StartSession(booking=BOOKING), by=person(ANNA)) == "start-too-early"


async def test_a_weapon_that_comes_back_and_goes_out_again_is_out(hall: Desk) -> None:
    await confirm(hall)
    hall.at = clock(14)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), returned(BOOKING), by=person(ANNA))
    assert await hall.refuses(StartSession(booking=BOOKING), by=person(ANNA)) == "weapon-not-issued"
    await hall.hears(issued(BOOKING), StartSession(booking=BOOKING), by=person(ANNA))
    assert await hall.refuses(FinishSession(booking=BOOKING), by=person(INA)) == "weapon-still-out"


async def test_who_is_no_longer_staff_books_for_nobody_else(hall: Desk) -> None:
    await hall.hears(RolesAssigned(person=INA, roles=("shooter",)))
    assert await hall.refuses(BOOK, by=person(INA)) == "not-for-others"
    await hall.hears(RolesAssigned(person=INA, roles=("shooter", "instructor")))
    await hall.hears(BOOK, by=person(INA))
    assert await hall.state_of(BOOKING) == "held"


async def test_sixteen_shooters_want_the_same_slot_and_one_gets_it(hall: Desk, database: Database) -> None:
    async def want(n: int) -> None:
        connection = await database.connect("booking")
        shooter = UUID(int=1000 + n)
        wish = BOOK.model_copy(update={"booking": UUID(int=2000 + n), "person": shooter})
        await Desk(connection).hears(wish, by=person(shooter))
        await connection.close()

    await asyncio.gather(*(want(n) for n in range(16)))
    assert await hall.connection.fetchval("SELECT count(*) FROM booking WHERE state = 'held'") == 1


async def test_a_shooter_who_wants_two_lanes_at_the_same_moment_gets_one(hall: Desk, database: Database) -> None:
    async def want(n: int) -> None:
        connection = await database.connect("booking")
        wish = BOOK.model_copy(update={"booking": UUID(int=2000 + n), "lane": f"lane-{n % 2 + 1}"})
        for _ in range(10):
            try:
                await Desk(connection).hears(wish, by=person(ANNA))
                break
            except (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError):
                continue  # the bus does such a message again
        await connection.close()

    await asyncio.gather(*(want(n) for n in range(8)))
    assert await hall.connection.fetchval("SELECT count(*) FROM booking WHERE state = 'held'") == 1


async def test_entitlements_are_replaced_as_a_whole(hall: Desk) -> None:
    await hall.hears(entitled(ANNA, ("air", clock(0), clock(20)), ("smallbore", clock(0), clock(20))))
    await hall.hears(entitled(ANNA, ("air", clock(1), clock(20)), ("air", clock(9), clock(9))))
    rows = await hall.connection.fetch("SELECT weapon_class, lower(during) FROM known_entitlement")
    assert [tuple(row) for row in rows] == [("air", clock(1))]


async def test_the_tables_are_a_fold_of_the_events(hall: Desk) -> None:
    await hall.hears(entitled(ANNA, ("air", clock(0), clock(20))))
    await confirm(hall)
    hall.at = clock(14)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), StartSession(booking=BOOKING), by=person(ANNA))
    await hall.hears(returned(BOOKING), FinishSession(booking=BOOKING), by=person(INA))
    events, rows = hall.events, await hall.rows()
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows


async def test_events_of_different_streams_may_come_in_any_order(desk: Desk) -> None:
    streams: list[list[Event]] = [
        [registered(ANNA, "cashier"), entitled(ANNA, ("air", clock(0), clock(20)))],
        [stocked(units=2), stocked(units=1)],
        [validated(TERMS)],
        [reserved(TERMS)],
        [issued(BOOKING), returned(BOOKING), issued(BOOKING)],
        [issued(BOOKING, UUID(int=0x3F)), returned(BOOKING, UUID(int=0x3F))],
        [InvoiceSettled(invoice=BOOKING, booking=BOOKING, settled_at=clock(12))],
    ]
    outcomes = []
    for order in list(permutations(streams))[::500]:
        await desk.forget()
        await desk.hears(*(event for stream in order for event in stream))
        outcomes.append(await desk.rows())
    assert outcomes[0]["known_custody"] == [
        (BOOKING, WEAPON, clock(13), None),
        (BOOKING, UUID(int=0x3F), clock(13), clock(15)),
    ]
    assert all(rows == outcomes[0] for rows in outcomes)
