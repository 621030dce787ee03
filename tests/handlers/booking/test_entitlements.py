"""Bookings whose shooter may shoot less than before."""

from dataclasses import replace
from datetime import datetime

import pytest

from bus.service import Unschedule
from handlers.auth.events import Ending, EntitlementsPublished, ExpiryForeseen
from handlers.booking import reactions
from handlers.booking.commands import CheckIn, StartSession
from handlers.booking.events import BookingCancelled, BookingRejected, EntitlementLost
from handlers.booking.model.rules import NotEntitledAnyMore
from handlers.booking.model.sessions import start_session
from handlers.booking.model.states import Booking, StartCase, State
from handlers.booking.views.bookings import booking
from handlers.booking.views.slots import slots
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    HELD,
    TERMS,
    booked,
    case,
    clock,
    entitled,
    invoiced,
    issued,
    person,
    reserved,
    validated,
)
from tests.handlers.scenario import NOON, Decided, given

SUSPENDED = "the licence of category pneumatic was suspended (lost)"
REASON = f"Your licences cover this booking no more: {SUSPENDED}."
RULE = "entitlement-withdrawn"
WITHDRAWN = entitled(ANNA).model_copy(update={"because": SUSPENDED, "rule_version": 3})


def withdrawn_from(*active: Booking, published: EntitlementsPublished = WITHDRAWN, at: datetime = NOON) -> Decided:
    return given(active, at=at).when(reactions.entitlements_published, published)


def lost(state: State) -> None:
    withdrawn_from(booked(state, weapon_out=True)).then(
        EntitlementLost(
            booking=BOOKING, person=ANNA, lane="lane-1", rule=RULE, rule_version=3, reason=REASON, lost_at=clock(12)
        )
    )


@pytest.mark.parametrize("state", [State.CONFIRMED, State.CHECKED_IN])
def test_a_booking_that_nothing_covers_any_more_is_called_off_and_says_why(state: State) -> None:
    withdrawn_from(booked(state)).then(
        BookingCancelled(
            booking=BOOKING, person=ANNA, cancelled_by="service:auth", rule=RULE, rule_version=3, reason=REASON
        ),
        Unschedule(f"no-show:{BOOKING}"),
    )


def test_a_hold_is_refused_in_auths_name() -> None:
    withdrawn_from(HELD).then(
        BookingRejected(booking=BOOKING, command=BOOKING, refused_by="auth", rule=RULE, rule_version=3, reason=REASON),
        Unschedule(f"hold:{BOOKING}"),
    )


@pytest.mark.parametrize("state", [State.CHECKED_IN, State.IN_USE])
def test_what_cannot_be_called_off_is_flagged_for_staff_once(state: State) -> None:
    lost(state)
    withdrawn_from(replace(booked(state, weapon_out=True), entitlement_lost=True)).then()


def test_a_session_with_an_own_weapon_is_flagged_once_it_has_begun() -> None:
    assert withdrawn_from(booked(State.IN_USE, own_weapon=True)).effects[0].name == "booking.entitlement-lost"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spans", "stands"),
    [
        ([("air", clock(14), clock(15))], True),
        ([("air", clock(14, 1), clock(15))], False),
        ([("air", clock(14), clock(14, 59))], False),
        ([("smallbore", clock(9), clock(22))], False),
        ([("air", clock(9), clock(14, 30)), ("air", clock(14, 30), clock(22))], False),
        ([("smallbore", clock(9), clock(10)), ("air", clock(9), clock(22))], True),
    ],
)
def test_a_booking_stands_while_one_entitlement_covers_all_of_it(
    spans: list[tuple[str, datetime, datetime]],
    stands: bool,  # noqa: FBT001
) -> None:
    decided = withdrawn_from(booked(State.CONFIRMED), published=entitled(ANNA, *spans))
    assert (decided.effects == ()) is stands


def test_what_is_over_is_left_alone() -> None:
    withdrawn_from(booked(State.CONFIRMED), at=clock(15)).then()


def test_no_session_begins_whose_licence_was_lost_meanwhile() -> None:
    flagged = replace(booked(State.CHECKED_IN, weapon_out=True), entitlement_lost=True)
    start = StartCase(case(flagged), lane_in_use=False, shooter_in_session=False, before=None)
    given(start, at=clock(14), actor=person(ANNA)).when(start_session, StartSession(booking=BOOKING)).then_refused(
        NotEntitledAnyMore
    )


async def confirm(hall: Desk) -> None:
    await hall.hears(entitled(ANNA, ("air", clock(0), clock(23))))
    await hall.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))


async def test_the_shooter_reads_why_and_the_lane_is_free(hall: Desk, database: Database) -> None:
    await confirm(hall)
    await hall.hears(entitled(BEN))
    assert await hall.state_of(BOOKING) == "confirmed", "of somebody else"
    await hall.hears(WITHDRAWN)
    gateway = await database.connect("gateway")
    found = await booking(gateway, BOOKING, viewer=ANNA, staff=False)
    assert found is not None
    assert (found.state, found.refused_by, found.rule, found.rule_version) == ("cancelled", "auth", RULE, 3)
    assert found.reason == REASON
    assert await hall.scheduled() == {}
    again = BOOK.model_copy(update={"booking": ANNA})
    assert [one.message.name for one in await hall.hears(again, by=person(ANNA))] == ["booking.lane-held"]
    await gateway.close()


async def test_staff_reads_which_session_is_to_be_ended(hall: Desk, database: Database) -> None:
    await confirm(hall)
    hall.at = clock(13, 30)
    await hall.hears(CheckIn(booking=BOOKING), by=person(ANNA))
    await hall.hears(issued(BOOKING))
    assert [one.message.name for one in await hall.hears(WITHDRAWN, WITHDRAWN)] == ["booking.entitlement-lost"]
    assert await hall.refuses(StartSession(booking=BOOKING), by=person(ANNA)) == "not-entitled-any-more"
    gateway = await database.connect("gateway")
    found = await booking(gateway, BOOKING, viewer=ANNA, staff=True)
    assert found is not None
    assert (found.state, found.entitlement_lost_at) == ("checked-in", clock(13, 30))
    await gateway.close()


async def test_slots_tell_what_ends_soon(hall: Desk, database: Database) -> None:
    gateway = await database.connect("gateway")
    now: datetime = await gateway.fetchval("SELECT now()")
    until = now.replace(year=now.year + 1)
    await hall.hears(entitled(ANNA, ("air", clock(0), until)))
    ending = ExpiryForeseen(person=ANNA, endings=(Ending(weapon_class="air", valid_until=until),))

    async def notices() -> tuple[str, ...]:
        found = await slots(gateway, now.date(), None, ANNA)
        assert found is not None
        return found.notices

    assert await notices() == ()
    await hall.hears(ending)
    expected = (
        f"The licence for weapons of class air ends on {until:%Y-%m-%d %H:%M} UTC; bookings after that are refused."
    )
    assert await notices() == (expected,)
    await hall.hears(entitled(ANNA, ("air", clock(0), until.replace(year=until.year + 1))))
    assert await notices() == (), "it was renewed"
    await gateway.close()
