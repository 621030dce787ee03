"""Changes of a booking that stands: another time, another lane, others who shoot along; what cancelling late costs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from bus.errors import Rejected
from bus.service import Unschedule
from handlers.auth.events import LicenceRefused
from handlers.booking.commands import (
    AddParticipant,
    CancelBooking,
    CheckIn,
    ExpireHold,
    FinishSession,
    RemoveParticipant,
    RescheduleBooking,
    StartSession,
    TransferBooking,
)
from handlers.booking.events import (
    BookingCancelled,
    CancellationFee,
    CancellationFeeCharged,
    OvertimeCharged,
    Policy,
)
from handlers.booking.model import rules
from handlers.booking.model.bookings import cancel_booking, cancellation_fee
from handlers.booking.model.changes import reschedule_booking
from handlers.booking.model.sessions import check_in, finish_session
from handlers.booking.model.states import Booking, Rescheduling, State
from handlers.booking.views.bookings import booking as show_booking
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    CARL,
    INA,
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
    reserved,
    returned,
    unhurried,
    validated,
)
from tests.handlers.scenario import given

NEW = UUID(int=0xB99)
LATER = UUID(int=0xB9A)
TIERS = (CancellationFee(notice_minutes=24 * 60, permille=250), CancellationFee(notice_minutes=120, permille=500))
STRICT = Policy(cancellation_fees=TIERS, overtime_grace_minutes=10)


def priced(state: State = State.CONFIRMED, *, weapon_out: bool = False) -> Booking:
    return replace(booked(state, weapon_out=weapon_out), total_minor=1190, currency="EUR", policy=STRICT)


def charged(notice_minutes: int, permille: int, amount_minor: int) -> CancellationFeeCharged:
    return CancellationFeeCharged(
        booking=BOOKING,
        terms=TERMS,
        notice_minutes=notice_minutes,
        permille=permille,
        amount_minor=amount_minor,
        currency="EUR",
    )


# Fees


@pytest.mark.parametrize(
    ("minutes_before", "fee"),
    [
        (24 * 60, None),
        (24 * 60 - 1, charged(24 * 60 - 1, 250, 298)),
        (120, charged(120, 250, 298)),
        (119, charged(119, 500, 595)),
        (-5, charged(0, 500, 595)),
    ],
)
def test_the_dearest_fee_that_the_notice_falls_short_of_is_charged(
    minutes_before: int, fee: CancellationFeeCharged | None
) -> None:
    at = clock(14) - timedelta(minutes=minutes_before)
    decided = given(case(priced()), at=at, actor=person(ANNA)).when(cancel_booking, CancelBooking(booking=BOOKING))
    decided.then(
        *([] if fee is None else [fee]),
        BookingCancelled(booking=BOOKING, person=ANNA, cancelled_by=person(ANNA)),
        Unschedule(f"no-show:{BOOKING}"),
    )


def test_staff_may_let_somebody_off_a_fee_and_nobody_else() -> None:
    waive = CancelBooking(booking=BOOKING, waive_fee=True)
    free = given(case(priced()), at=clock(13), actor=person(CARL)).when(cancel_booking, waive)
    assert [type(one) for one in free.effects] == [BookingCancelled, Unschedule]
    given(case(priced()), at=clock(13), actor=person(ANNA)).when(cancel_booking, waive).then_refused(
        rules.OnlyStaffWaivesFees
    )


@unhurried
@for_all(
    tiers=st.lists(
        st.builds(CancellationFee, notice_minutes=st.integers(1, 10_000), permille=st.integers(1, 1000)), max_size=5
    ),
    total=st.integers(0, 10**9),
    earlier=st.integers(-100, 12_000),
    by=st.integers(0, 5_000),
)
def test_a_fee_is_part_of_the_price_and_never_falls_as_the_begin_comes_near(
    tiers: list[CancellationFee], total: int, earlier: int, by: int
) -> None:
    booking = replace(priced(), total_minor=total, policy=Policy(cancellation_fees=tuple(tiers)))

    def fee(minutes_before: int) -> int:
        charges = cancellation_fee(booking, clock(14) - timedelta(minutes=minutes_before))
        return sum(one.amount_minor for one in charges)

    assert 0 <= fee(earlier + by) <= fee(earlier) <= total


# Overtime


@pytest.mark.parametrize(("seconds", "minutes"), [(-60, None), (600, None), (601, 11), (3600, 60)])
def test_who_overstays_the_grace_pays_for_all_of_it(seconds: int, minutes: int | None) -> None:
    at = clock(15) + timedelta(seconds=seconds)
    decided = given(case(priced(State.IN_USE)), at=at, actor=person(INA)).when(
        finish_session, FinishSession(booking=BOOKING)
    )
    overtime = [one for one in decided.effects if isinstance(one, OvertimeCharged)]
    assert [one.minutes for one in overtime] == ([] if minutes is None else [minutes])


def test_without_a_grace_overtime_is_free() -> None:
    free = replace(priced(State.IN_USE), policy=Policy())
    decided = given(case(free), at=clock(18), actor=person(INA)).when(finish_session, FinishSession(booking=BOOKING))
    assert len(decided.effects) == 1


# Rescheduling


MOVE = RescheduleBooking(
    replacement=NEW, booking=BOOKING, lane="lane-1", starts_at=clock(14, 30), ends_at=clock(15, 30)
)


@pytest.mark.parametrize(
    ("booking", "at", "who", "rule"),
    [
        (priced(State.HELD), clock(9), INA, rules.NotToReschedule),
        (priced(State.CHECKED_IN), clock(9), INA, rules.NotToReschedule),
        (replace(priced(), being_replaced=True), clock(9), INA, rules.BeingRescheduled),
        (priced(), clock(14), INA, rules.HasBegun),
        (priced(), clock(13), ANNA, rules.TooLateToReschedule),
        (priced(), clock(9), BEN, rules.BookingUnknown),
    ],
)
def test_what_cannot_be_rescheduled(booking: Booking, at: Any, who: UUID, rule: type[Rejected]) -> None:
    given(Rescheduling(case(booking), WISH), at=at, actor=person(who)).when(reschedule_booking, MOVE).then_refused(rule)


def test_a_booking_that_is_being_rescheduled_stays_as_it_is() -> None:
    waiting = case(replace(priced(), being_replaced=True))
    given(waiting, at=clock(13, 30), actor=person(ANNA)).when(check_in, CheckIn(booking=BOOKING)).then_refused(
        rules.BeingRescheduled
    )
    cancel = CancelBooking(booking=BOOKING)
    given(waiting, at=clock(13), actor=person(ANNA)).when(cancel_booking, cancel).then_refused(rules.BeingRescheduled)


async def confirm(desk: Desk) -> None:
    await desk.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))


NEW_TERMS = TERMS.model_copy(
    update={
        "booking": NEW,
        "command": NEW,
        "starts_at": clock(14, 30),
        "ends_at": clock(15, 30),
        "replaces": BOOKING,
    }
)


async def test_the_old_booking_stands_until_the_new_one_is_confirmed(hall: Desk) -> None:
    await confirm(hall)
    (held, *_) = await hall.hears(MOVE, by=person(ANNA))
    assert held.message.terms.model_copy(update={"command": NEW}) == NEW_TERMS  # type: ignore[attr-defined]
    assert (await hall.state_of(BOOKING), await hall.state_of(NEW)) == ("confirmed", "held")
    other = BOOK.model_copy(update={"booking": LATER, "person": BEN, "starts_at": clock(15), "ends_at": clock(15, 30)})
    assert await hall.refuses(other, by=person(BEN)) == "slot-taken"
    await hall.hears(validated(NEW_TERMS), reserved(NEW_TERMS), invoiced(NEW_TERMS))
    assert (await hall.state_of(BOOKING), await hall.state_of(NEW)) == ("cancelled", "confirmed")
    assert list(await hall.scheduled()) == [f"no-show:{NEW}"]
    before = BOOK.model_copy(update={"booking": LATER, "person": BEN, "ends_at": clock(14, 30)})
    await hall.hears(before, by=person(BEN))
    assert await hall.state_of(LATER) == "held", "what the old one had is free"


@pytest.mark.parametrize("how", ["refused", "expired", "cancelled"])
async def test_a_new_time_that_is_refused_leaves_the_old_booking_untouched(hall: Desk, how: str) -> None:
    await confirm(hall)
    before = await hall.connection.fetchrow("SELECT * FROM booking WHERE booking = $1", BOOKING)
    schedule = await hall.scheduled()
    await hall.hears(MOVE, by=person(ANNA))
    refusal = LicenceRefused(booking=NEW, terms=NEW_TERMS, rule="licence-expired", rule_version=1, reason="It ran out.")
    message = {
        "refused": refusal,
        "expired": ExpireHold(booking=NEW),
        "cancelled": CancelBooking(booking=NEW),
    }[how]
    await hall.hears(message, by="service:booking" if how == "expired" else person(ANNA))
    assert await hall.connection.fetchrow("SELECT * FROM booking WHERE booking = $1", BOOKING) == before
    assert await hall.scheduled() == schedule
    again = MOVE.model_copy(update={"replacement": LATER})
    await hall.hears(again, by=person(ANNA))
    assert await hall.state_of(LATER) == "held", "and it can be tried again"


async def test_a_booking_is_moved_twice_and_its_claim_goes_along(hall: Desk) -> None:
    await confirm(hall)
    await hall.hears(MOVE, by=person(ANNA))
    await hall.hears(validated(NEW_TERMS), reserved(NEW_TERMS), invoiced(NEW_TERMS))
    back = MOVE.model_copy(update={"replacement": LATER, "booking": NEW, "starts_at": clock(14), "ends_at": clock(15)})
    await hall.hears(back, by=person(ANNA))
    assert await hall.state_of(LATER) == "held", "it overlaps the one that it replaces"
    events, rows = hall.events, await hall.rows()
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows


async def test_what_was_called_off_meanwhile_is_not_called_off_again(hall: Desk) -> None:
    await confirm(hall)
    await hall.hears(MOVE, by=person(ANNA))
    await hall.hears(entitled(ANNA, ("air", clock(14, 30), clock(16))))
    assert (await hall.state_of(BOOKING), await hall.state_of(NEW)) == ("cancelled", "held")
    said = await hall.hears(validated(NEW_TERMS), reserved(NEW_TERMS), invoiced(NEW_TERMS))
    assert [one.message.name for one in said] == ["booking.booking-confirmed"]


# Participants


async def wide_lane(hall: Desk) -> None:
    await hall.hears(open_lane("lane-1", capacity=2), by=person(ADA))
    await hall.hears(entitled(BEN, ("air", clock(0), clock(14, 30)), ("air", clock(14, 30), clock(23))))


async def test_two_share_a_lane_and_neither_is_booked_elsewhere_then(hall: Desk, database: Database) -> None:
    await wide_lane(hall)
    await hall.hears(BOOK.model_copy(update={"participants": (BEN,)}), by=person(ANNA))
    elsewhere = BOOK.model_copy(update={"booking": NEW, "person": BEN, "lane": "lane-2"})
    assert await hall.refuses(elsewhere, by=person(BEN)) == "shooter-elsewhere"
    gateway = await database.connect("gateway")
    seen = await show_booking(gateway, BOOKING, viewer=BEN, staff=False)
    await gateway.close()
    assert seen is not None
    assert seen.participants == (BEN,)


@pytest.mark.parametrize(
    ("participants", "rule"),
    [
        ((CARL,), "participant-not-entitled"),
        ((ANNA,), "participant-twice"),
        ((BEN, BEN), "participant-twice"),
        ((BEN, CARL), "capacity-exceeded"),
    ],
)
async def test_who_cannot_shoot_along(hall: Desk, participants: tuple[UUID, ...], rule: str) -> None:
    await wide_lane(hall)
    asked = BOOK.model_copy(update={"participants": participants})
    assert await hall.refuses(asked, by=person(ANNA)) == rule


async def test_one_comes_along_later_and_one_stays_away_and_the_booking_stands(hall: Desk) -> None:
    await wide_lane(hall)
    await confirm(hall)
    add, remove = (kind(booking=BOOKING, participant=BEN) for kind in (AddParticipant, RemoveParticipant))
    assert await hall.refuses(remove, by=person(ANNA)) == "no-such-participant"
    await hall.hears(add, by=person(ANNA))
    assert await hall.refuses(add, by=person(ANNA)) == "participant-twice"
    assert await hall.refuses(add, by=person(BEN)) == "booking-unknown"
    another = AddParticipant(booking=BOOKING, participant=INA)
    assert await hall.refuses(another, by=person(ANNA)) == "capacity-exceeded"
    elsewhere = BOOK.model_copy(update={"booking": NEW, "person": BEN, "lane": "lane-2"})
    assert await hall.refuses(elsewhere, by=person(BEN)) == "shooter-elsewhere"
    await hall.hears(remove, by=person(ANNA))
    await hall.hears(elsewhere, by=person(BEN))
    assert (await hall.state_of(BOOKING), await hall.state_of(NEW)) == ("confirmed", "held")
    assert await hall.refuses(add, by=person(ANNA)) == "shooter-elsewhere"


# Transfer


async def test_a_booking_gets_another_lane_and_the_first_is_free(hall: Desk) -> None:
    await confirm(hall)
    hall.at = clock(13, 30)
    await hall.hears(CheckIn(booking=BOOKING), by=person(ANNA))
    transfer = TransferBooking(booking=BOOKING, lane="lane-2")
    assert await hall.refuses(transfer, by=person(ANNA)) == "instructors-transfer"
    await hall.hears(transfer, by=person(INA))
    await hall.hears(BOOK.model_copy(update={"booking": NEW, "person": BEN}), by=person(BEN))
    assert await hall.state_of(NEW) == "held"
    (started,) = await hall.hears(issued(BOOKING), StartSession(booking=BOOKING), by=person(ANNA))
    assert started.message.lane == "lane-2"  # type: ignore[attr-defined]
    assert await hall.refuses(transfer, by=person(INA)) == "not-to-transfer"


@pytest.mark.parametrize(
    ("lane", "rule"),
    [
        ("lane-9", "lane-unknown"),
        ("far-1", "other-range"),
        ("rifle", "other-discipline"),
        ("big", "lane-not-for-class"),
        ("lane-2", "slot-taken"),
    ],
)
async def test_a_lane_that_will_not_do(hall: Desk, lane: str, rule: str) -> None:
    await hall.hears(
        SET_UP.model_copy(update={"range": "field"}),
        open_lane("far-1", range="field"),
        open_lane("rifle", discipline="air-rifle-10m"),
        open_lane("big", weapon_classes=("centrefire",)),
        BOOK.model_copy(update={"booking": NEW, "person": BEN, "lane": "lane-2", "starts_at": clock(14, 30)}),
        by=person(ADA),
    )
    await confirm(hall)
    assert await hall.refuses(TransferBooking(booking=BOOKING, lane=lane), by=person(INA)) == rule


async def test_all_of_it_follows_from_the_events(hall: Desk) -> None:
    await wide_lane(hall)
    await hall.hears(SET_UP.model_copy(update={"policy": STRICT}), by=person(ADA))
    await confirm(hall)
    hall.at = clock(14)
    for command in (
        AddParticipant(booking=BOOKING, participant=BEN),
        RemoveParticipant(booking=BOOKING, participant=BEN),
        TransferBooking(booking=BOOKING, lane="lane-2"),
        CheckIn(booking=BOOKING),
    ):
        await hall.hears(command, by=person(INA))
    await hall.hears(issued(BOOKING), StartSession(booking=BOOKING), returned(BOOKING), by=person(ANNA))
    hall.at = clock(16)
    said = await hall.hears(FinishSession(booking=BOOKING), by=person(INA))
    assert [one.message.name for one in said] == ["booking.overtime-charged", "booking.session-finished"]
    events, rows = hall.events, await hall.rows()
    assert rows["shooter_time"] == []
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows
