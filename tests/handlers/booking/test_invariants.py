"""The README's numbered invariants, on whatever hypothesis thinks of."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.message import Command, Message
from bus.service import Schedule
from handlers.auth.events import LicenceRefused
from handlers.booking.commands import (
    BookSession,
    CancelBooking,
    CheckIn,
    ExpireHold,
    FinishSession,
    ReleaseNoShow,
    StartSession,
)
from handlers.booking.events import LaneHeld, Terms
from handlers.booking.model.bookings import book_session, cancel_booking
from handlers.booking.model.rules import BookingUnknown, NotForOthers
from handlers.booking.model.sessions import check_in, finish_session, start_session
from handlers.booking.model.states import StartCase, State
from tests.handlers import scenario
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    CARL,
    INA,
    LANE,
    SET_UP,
    TERMS,
    WISH,
    booked,
    case,
    clock,
    entitled,
    invoiced,
    issued,
    open_lane,
    person,
    registered,
    reserved,
    returned,
    stocked,
    unhurried,
    validated,
)

seconds = st.integers(1, 3600).map(lambda n: timedelta(seconds=n))
strangers = st.sampled_from(["device:target-1", "", "person:" + str(BEN), "person:" + str(UUID(int=77))])


@unhurried
@given(hold=seconds, no_show_after=seconds, ahead=st.integers(0, 2000))
def test_7_every_hold_is_given_up_in_time(hold: timedelta, no_show_after: timedelta, ahead: int) -> None:
    wish = replace(WISH, lane=replace(LANE, hold=hold, no_show_after=no_show_after))
    asked_at = BOOK.starts_at - timedelta(seconds=ahead)
    decided = scenario.given(wish, at=asked_at, actor=person(ANNA)).when(book_session, BOOK)
    held, expiry = decided.effects
    assert isinstance(held, LaneHeld)
    assert expiry == Schedule(f"hold:{BOOKING}", held.held_until, ExpireHold(booking=BOOKING))
    assert asked_at < held.held_until <= held.no_show_at
    assert held.held_until <= asked_at + hold


@unhurried
@given(state=st.sampled_from(State), weapon_out=st.booleans(), actor=strangers, hours=st.integers(0, 48))
def test_8_a_stranger_changes_nothing_and_learns_nothing(
    state: State,
    weapon_out: bool,  # noqa: FBT001 - hypothesis names them
    actor: str,
    hours: int,
) -> None:
    its_case = case(booked(state, weapon_out=weapon_out))
    start = StartCase(its_case, lane_in_use=weapon_out, shooter_in_session=False, before=None)
    at = clock(0) + timedelta(hours=hours)
    deeds: list[tuple[Any, Callable[..., Any], Command]] = [
        (its_case, cancel_booking, CancelBooking(booking=BOOKING)),
        (its_case, check_in, CheckIn(booking=BOOKING)),
        (start, start_session, StartSession(booking=BOOKING)),
        (its_case, finish_session, FinishSession(booking=BOOKING)),
    ]
    for known, decide, command in deeds:
        scenario.given(known, at=at, actor=actor).when(decide, command).then_refused(BookingUnknown)
    scenario.given(WISH, at=at, actor=actor).when(book_session, BOOK).then_refused(NotForOthers)


BOOKINGS = [UUID(int=0xB00 + n) for n in range(4)]
WEAPONS = [UUID(int=0x3E0 + n) for n in range(2)]
PEOPLE = [ANNA, BEN, CARL, INA]


def terms_of(booking: UUID) -> Terms:
    return TERMS.model_copy(update={"booking": booking, "command": booking})


def refused(booking: UUID) -> LicenceRefused:
    return LicenceRefused(
        booking=booking, terms=terms_of(booking), rule="licence-expired", rule_version=1, reason="It ran out."
    )


@st.composite
def wishes(draw: st.DrawFn, booking: UUID) -> BookSession:
    starts_at = clock(12) + timedelta(minutes=30) * draw(st.integers(0, 4))
    return BookSession(
        booking=booking,
        person=draw(st.sampled_from([ANNA, BEN])),
        lane=draw(st.sampled_from(["lane-1", "lane-2"])),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=30) * draw(st.integers(1, 3)),
        weapon_class="air",
        weapon_type=draw(st.sampled_from([None, "air-pistol"])),
    )


@st.composite
def stories(draw: st.DrawFn, booking: UUID) -> list[Message]:
    """What usually happens to a booking, less a step or two, and with steps that belong elsewhere."""
    terms, weapon = terms_of(booking), draw(st.sampled_from(WEAPONS))
    told: list[Message] = [validated(terms), reserved(terms), invoiced(terms), refused(booking)]
    story: list[Message] = [
        draw(wishes(booking)),
        *told[:3],
        CheckIn(booking=booking),
        issued(booking, weapon),
        StartSession(booking=booking),
        returned(booking, weapon),
        FinishSession(booking=booking),
    ]
    elsewhere = [*told, *story[4:], *(kind(booking=booking) for kind in (CancelBooking, ExpireHold, ReleaseNoShow))]
    for _ in range(draw(st.integers(0, 2))):
        del story[draw(st.integers(1, len(story) - 1))]
    for _ in range(draw(st.integers(0, 3))):
        story.insert(draw(st.integers(1, len(story))), draw(st.sampled_from(elsewhere)))
    return story


@st.composite
def days(draw: st.DrawFn) -> list[tuple[Message, UUID, int]]:
    """The stories of some bookings, told at once: who asks for each step, and how long it takes to come."""
    untold = [draw(stories(booking)) for booking in BOOKINGS]
    steps: list[tuple[Message, UUID, int]] = []
    while any(untold):
        story = draw(st.sampled_from([story for story in untold if story]))
        who = draw(st.sampled_from([INA, INA, INA, *PEOPLE]))
        steps.append((story.pop(0), who, draw(st.sampled_from([0, 0, 0, 0, 0, 10, 30]))))
    return steps


ALLOWED = {
    (None, "held"),
    ("held", "confirmed"),
    ("held", "rejected"),
    ("held", "cancelled"),
    ("confirmed", "checked-in"),
    ("confirmed", "cancelled"),
    ("confirmed", "no-show"),
    ("checked-in", "in-use"),
    ("checked-in", "cancelled"),
    ("in-use", "finished"),
}


@pytest.mark.timeout(300)  # finding the shortest way to break them takes a while
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(day=days())
async def test_1_2_3_5_6_9_10_hold_whatever_happens(desk: Desk, day: list[tuple[Message, UUID, int]]) -> None:
    await desk.forget()
    await set_up(desk)
    states: dict[UUID, str] = {}
    for message, who, minutes in day:
        desk.later(minutes)
        await desk.hears(message, by=person(who))
        await check_bookings(desk)
        now_in = await check_states(desk, states)
        await check_weapons(desk, message, states, now_in)
        states = now_in
    await check_answers(desk, states)
    rows, events = await desk.rows(), desk.events
    await desk.forget()
    await desk.replay(events)
    assert await desk.rows() == rows


async def set_up(desk: Desk) -> None:
    await desk.hears(registered(INA, "instructor"), registered(CARL, "cashier"), stocked())
    await desk.hears(SET_UP, open_lane("lane-1"), open_lane("lane-2"), entitled(ANNA))


async def check_bookings(desk: Desk) -> None:
    """Invariants 1, 2 and 3, without the constraints' help."""
    broken = await desk.connection.fetch(
        """
        SELECT a.booking, b.booking
        FROM booking AS a JOIN booking AS b ON a.booking < b.booking AND (a.lane = b.lane OR a.person = b.person)
        WHERE a.state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND (a.during && b.during OR a.state = 'in-use' AND b.state = 'in-use')
        """
    )
    assert broken == []


async def check_states(desk: Desk, before: dict[UUID, str]) -> dict[UUID, str]:
    """Invariant 5."""
    rows = await desk.connection.fetch("SELECT booking, state FROM booking")
    states = {row["booking"]: row["state"] for row in rows}
    moves = {(before.get(booking), state) for booking, state in states.items() if before.get(booking) != state}
    assert moves <= ALLOWED
    return states


async def check_weapons(desk: Desk, message: Message, before: dict[UUID, str], after: dict[UUID, str]) -> None:
    """Invariant 9."""
    if before == after or not isinstance(message, CancelBooking | StartSession | FinishSession):
        return
    row = await desk.connection.fetchrow(
        """
        SELECT weapon_type IS NOT NULL AS club,
               EXISTS (SELECT FROM known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL) AS out
        FROM booking AS b WHERE booking = $1
        """,
        message.booking,
    )
    assert row is not None
    assert (row["out"] or not row["club"]) if isinstance(message, StartSession) else not row["out"]


async def check_answers(desk: Desk, states: dict[UUID, str]) -> None:
    """Invariant 6: all but the wishes whose bookings are still held are answered, once."""
    for booking in BOOKINGS:
        answers = desk.answers.get(booking, [])
        if states.get(booking) == "held":
            assert answers == []
        elif states.get(booking) in {None, "rejected"}:
            assert answers == ["rejected"]
        else:
            assert answers in (["done"], ["rejected"])
            assert answers == ["done"] or states[booking] == "cancelled"
