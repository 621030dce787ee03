"""The waiting list: first come, first served, one at a time, and nobody else meanwhile."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from bus.message import Message
from bus.service import Given
from handlers.booking.commands import (
    AcceptOffer,
    CancelBooking,
    CloseLane,
    ExpireEntry,
    JoinWaitlist,
    LeaveWaitlist,
    ReleaseNoShow,
    ReopenLane,
    TransferBooking,
)
from handlers.booking.events import Policy, WaitlistOffered
from handlers.booking.model.hours import Span
from handlers.booking.model.waitlist import Candidate, offer_places
from handlers.booking.views.waitlist import waitlist
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
    clock,
    invoiced,
    open_lane,
    person,
    reserved,
    unhurried,
    validated,
)
from tests.handlers.scenario import ID, NOON

YEAR = timedelta(days=400)
FIRST, SECOND = UUID(int=0xE1), UUID(int=0xE2)
TAKEN, OTHER = UUID(int=0xB11), UUID(int=0xB12)
FOLLOWED = {
    "booking.booking-rejected",
    "booking.booking-cancelled",
    "booking.booking-transferred",
    "booking.no-show-released",
    "booking.session-finished",
    "booking.waitlist-joined",
    "booking.waitlist-lapsed",
    "booking.waitlist-left",
    "booking.lane-reopened",
}


def join(entry: UUID = FIRST, who: UUID = BEN, **changes: Any) -> JoinWaitlist:
    asked: dict[str, Any] = {
        "entry": entry,
        "person": who,
        "range": "hall",
        "discipline": "air-pistol-10m",
        "starts_at": clock(14),
        "ends_at": clock(15),
        "weapon_class": "air",
    }
    return JoinWaitlist(**{**asked, **changes})


async def tell(desk: Desk, *messages: Message, by: UUID | str) -> list[str]:
    """Like `hears`, and what booking says to itself it hears too, as in the log."""
    told = [one.message for one in await desk.hears(*messages, by=by if isinstance(by, str) else person(by))]
    names = [one.name for one in told]
    while told:
        message = told.pop(0)
        if message.name in FOLLOWED:
            more = [one.message for one in await desk.hears(message, by="service:booking")]
            told += more
            names += [one.name for one in more]
    return names


@pytest.fixture
async def full(hall: Desk) -> Desk:
    """The hall with one lane for air pistols, which is Anna's from 14 to 15."""
    await hall.hears(open_lane("lane-2", discipline="air-rifle-10m"), by=person(ADA))
    await hall.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))
    assert await hall.state_of(BOOKING) == "confirmed"
    return hall


async def state_of(desk: Desk, entry: UUID) -> str | None:
    state: str | None = await desk.connection.fetchval("SELECT state FROM waitlist_entry WHERE entry = $1", entry)
    return state


async def test_who_came_first_is_offered_what_comes_free_and_nobody_else_gets_it(full: Desk) -> None:
    await tell(full, join(), by=BEN)
    full.later(1)
    await tell(full, join(SECOND, CARL), by=CARL)
    assert (await state_of(full, FIRST), await state_of(full, SECOND)) == ("waiting", "waiting")
    names = await tell(full, CancelBooking(booking=BOOKING), by=ANNA)
    assert names.count("booking.waitlist-offered") == 1
    assert (await state_of(full, FIRST), await state_of(full, SECOND)) == ("offered", "waiting")
    rival = BOOK.model_copy(update={"booking": OTHER, "person": INA})
    assert await full.refuses(rival, by=person(INA)) == "slot-taken"
    take = AcceptOffer(booking=TAKEN, entry=FIRST)
    assert await full.refuses(take, by=person(CARL).replace(str(CARL), str(UUID(int=66)))) == "not-on-the-list"
    await tell(full, take, by=BEN)
    assert (await state_of(full, FIRST), await full.state_of(TAKEN)) == ("accepted", "held")
    assert f"waitlist:{FIRST}" not in await full.scheduled()
    assert f"hold:{TAKEN}" in await full.scheduled()


@pytest.mark.parametrize("how", ["declined", "not taken in time", "refused in the end"])
async def test_what_one_does_not_take_goes_to_the_next_in_line(full: Desk, how: str) -> None:
    await tell(full, join(), by=BEN)
    full.later(1)
    await tell(full, join(SECOND, CARL), by=CARL)
    await tell(full, CancelBooking(booking=BOOKING), by=ANNA)
    if how == "declined":
        await tell(full, LeaveWaitlist(entry=FIRST), by=BEN)
    elif how == "not taken in time":
        assert (await full.scheduled())[f"waitlist:{FIRST}"] == clock(13, 1)
        full.at = clock(13, 1)
        assert await full.refuses(AcceptOffer(booking=TAKEN, entry=FIRST), by=person(BEN)) == "offer-over"
        await tell(full, ExpireEntry(entry=FIRST), by="service:booking")
    else:
        await tell(full, AcceptOffer(booking=TAKEN, entry=FIRST), by=BEN)
        await tell(full, CancelBooking(booking=TAKEN), by=BEN)
    assert await state_of(full, SECOND) == "offered"


async def test_whoever_waits_for_what_is_free_is_offered_it_at_once(full: Desk) -> None:
    await tell(full, join(starts_at=clock(15), ends_at=clock(16)), by=BEN)
    assert await state_of(full, FIRST) == "offered"


@pytest.mark.parametrize("how", ["no-show", "transfer", "reopened"])
async def test_whatever_frees_a_lane_is_offered(full: Desk, how: str) -> None:
    await tell(full, open_lane("lane-3"), by=ADA)
    close = CloseLane(closure=OTHER, lane="lane-3", starts_at=clock(13), ends_at=clock(20), reason="event")
    if how != "transfer":
        await tell(full, close, by=ADA)
    late: dict[str, Any] = {"starts_at": clock(14, 30), "ends_at": clock(15)} if how == "no-show" else {}
    await tell(full, join(lane="lane-1" if how == "transfer" else None, **late), by=BEN)
    assert await state_of(full, FIRST) == "waiting"
    full.at = clock(14, 15) if how == "no-show" else full.at
    message = {
        "no-show": ReleaseNoShow(booking=BOOKING),
        "transfer": TransferBooking(booking=BOOKING, lane="lane-3"),
        "reopened": ReopenLane(lane="lane-3", closure=OTHER),
    }[how]
    await tell(full, message, by=ADA if how != "no-show" else "service:booking")
    assert await state_of(full, FIRST) == "offered"


@pytest.mark.parametrize(
    ("changes", "by", "rule"),
    [
        ({}, CARL, None),
        ({}, UUID(int=66), "not-for-others"),
        ({"range": "nowhere"}, BEN, "range-unknown"),
        ({"discipline": "darts"}, BEN, "no-such-lanes"),
        ({"weapon_class": "centrefire"}, BEN, "no-such-lanes"),
        ({"lane": "lane-2"}, BEN, "no-such-lanes"),
        ({"ends_at": clock(14)}, BEN, "ends-before-start"),
        ({"starts_at": clock(12)}, BEN, "time-past"),
        ({"ends_at": clock(22, 30)}, BEN, "too-long"),
        (
            {"starts_at": clock(14) + YEAR, "ends_at": clock(15) + YEAR},
            BEN,
            "too-far-ahead",
        ),
    ],
)
async def test_what_cannot_be_waited_for(full: Desk, changes: dict[str, Any], by: UUID, rule: str | None) -> None:
    if rule is None:
        await tell(full, join(**changes), by=by)
        assert await state_of(full, FIRST) == "waiting"
    else:
        assert await full.refuses(join(**changes), by=person(by)) == rule


async def test_nobody_waits_twice_for_a_time_nor_for_too_many(full: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await tell(full, join(), by=BEN)
    assert (
        await full.refuses(join(SECOND, starts_at=clock(14, 30), ends_at=clock(16)), by=person(BEN))
        == "already-waiting"
    )
    monkeypatch.setattr("handlers.booking.model.waitlist.MOST_ENTRIES", 1)
    later = join(SECOND, starts_at=clock(17), ends_at=clock(18))
    assert await full.refuses(later, by=person(BEN)) == "too-many-entries"
    assert await full.refuses(AcceptOffer(booking=TAKEN, entry=FIRST), by=person(BEN)) == "no-offer-made"
    await tell(full, LeaveWaitlist(entry=FIRST), by=BEN)
    assert await full.refuses(LeaveWaitlist(entry=FIRST), by=person(BEN)) == "no-longer-waiting"


async def test_ten_who_want_an_offer_at_once_and_one_gets_it(full: Desk, database: Database) -> None:
    """The same offer, accepted ten times at the same moment, is one booking."""
    await tell(full, join(), by=BEN)
    await tell(full, CancelBooking(booking=BOOKING), by=ANNA)

    async def accept(n: int) -> None:
        connection = await database.connect("booking")
        await Desk(connection, at=full.at).hears(AcceptOffer(booking=UUID(int=2000 + n), entry=FIRST), by=person(BEN))
        await connection.close()

    await asyncio.gather(*(accept(n) for n in range(10)))
    assert await full.connection.fetchval("SELECT count(*) FROM booking WHERE state = 'held'") == 1


async def test_a_booking_and_an_offer_do_not_pass_each_other(full: Desk, database: Database) -> None:
    """Whoever books what came free waits for the offer that is being made, and then sees it."""
    await tell(full, join(), by=BEN)
    said = await full.hears(CancelBooking(booking=BOOKING), by=person(ANNA))
    connection = await database.connect("booking")
    transaction = connection.transaction()
    await transaction.start()
    await Desk(connection, at=full.at).hears(said[0].message, by="service:booking")
    rival = BOOK.model_copy(update={"booking": OTHER, "person": INA})
    booking = asyncio.create_task(full.refuses(rival, by=person(INA)))
    await asyncio.sleep(0.2)
    assert not booking.done()
    await transaction.commit()
    assert await booking == "slot-taken"
    await connection.close()


async def test_the_database_offers_a_lane_to_one_alone(full: Desk) -> None:
    for entry, who in ((FIRST, BEN), (SECOND, CARL)):
        await tell(full, join(entry, who), by=who)
    offer = """
        UPDATE waitlist_entry SET state = 'offered', offered_lane = 'lane-1', offered_until = starts_at,
                                  offered_taken = tstzrange(starts_at, ends_at) WHERE entry = $1
        """
    await full.connection.execute(offer, FIRST)
    with pytest.raises(asyncpg.ExclusionViolationError, match="one_offer_a_lane"):
        await full.connection.execute(offer, SECOND)


async def test_it_follows_from_its_events_and_its_own_see_it(full: Desk, database: Database) -> None:
    buffered = SET_UP.model_copy(update={"policy": Policy(buffer_after_minutes=30, waitlist_offer_minutes=20)})
    await tell(full, buffered, by=ADA)
    now: datetime = await full.connection.fetchval("SELECT date_trunc('day', now()) + interval '2 days'")
    full.at = now - timedelta(days=1)
    times: dict[str, Any] = {"starts_at": now + timedelta(hours=14), "ends_at": now + timedelta(hours=15)}
    await tell(full, BOOK.model_copy(update={"booking": OTHER, "person": INA, "weapon_type": None, **times}), by=INA)
    await tell(full, join(**times), by=BEN)
    full.later(1)
    await tell(full, join(SECOND, CARL, **times), by=CARL)
    await tell(full, CancelBooking(booking=OTHER), by=INA)
    await tell(full, AcceptOffer(booking=TAKEN, entry=FIRST), by=BEN)
    await tell(full, LeaveWaitlist(entry=SECOND), by=CARL)
    gateway = await database.connect("gateway")
    own = await waitlist(gateway, None, viewer=BEN, staff=False, most=10)
    everybodys = await waitlist(gateway, None, viewer=INA, staff=True, most=10)
    await gateway.close()
    assert [(one.entry, one.state, one.booking) for one in own] == [(FIRST, "accepted", TAKEN)]
    assert [one.state for one in everybodys] == ["accepted", "left"]
    assert own[0].offered_until == full.at + timedelta(minutes=20)
    events, rows = full.events, await full.rows()
    await full.forget()
    await full.replay(events)
    assert await full.rows() == rows


LANES = ("lane-1", "lane-2", "lane-3")


@st.composite
def lines(draw: st.DrawFn) -> list[Candidate]:
    in_line = []
    for n in range(draw(st.integers(0, 6))):
        starts_at = NOON + timedelta(minutes=30 * draw(st.integers(0, 6)))
        during = Span(starts_at, starts_at + timedelta(minutes=30 * draw(st.integers(1, 3))))
        in_line.append(
            Candidate(
                entry=UUID(int=100 + n),
                person=UUID(int=draw(st.integers(1, 3))),
                during=during,
                taken=Span(during.starts_at, during.ends_at + timedelta(minutes=draw(st.sampled_from([0, 15])))),
                lanes=tuple(draw(st.lists(st.sampled_from(LANES), unique=True, max_size=3))),
                notice=timedelta(minutes=draw(st.sampled_from([0, 60]))),
                offer=timedelta(minutes=30),
            )
        )
    return in_line


@unhurried
@for_all(lines())
def test_no_lane_and_no_shooter_is_offered_twice_at_a_time_and_who_is_passed_over_could_not_be_served(
    in_line: list[Candidate],
) -> None:
    given = Given(NOON, ID, ID, "service:booking")
    offers = [one for one in offer_places(in_line, None, given) if isinstance(one, WaitlistOffered)]
    by_entry = {one.entry: one for one in in_line}
    order = [one.entry for one in in_line]
    assert [order.index(one.entry) for one in offers] == sorted(order.index(one.entry) for one in offers)
    for offer in offers:
        candidate = by_entry[offer.entry]
        assert offer.lane in candidate.lanes
        assert NOON < offer.offered_until <= min(NOON + candidate.offer, offer.starts_at - candidate.notice)
    for n, one in enumerate(offers):
        for other in offers[n + 1 :]:
            same_time = one.taken_from < other.taken_until and other.taken_from < one.taken_until
            assert not (same_time and one.lane == other.lane)
            overlap = one.starts_at < other.ends_at and other.starts_at < one.ends_at
            assert not (overlap and one.person == other.person)
    alone = replace(in_line[0], lanes=LANES) if in_line else None
    if alone is not None and alone.during.starts_at - alone.notice >= NOON + timedelta(minutes=5):
        assert offer_places([alone], None, given), "whoever is first is served if any lane is free"
