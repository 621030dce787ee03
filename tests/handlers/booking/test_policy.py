"""House rules for bookings: exceptions and holidays, notice, horizon, last start, buffers, closures, lanes' limits."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from bus.errors import Rejected
from handlers.armory.events import WeaponTypeAdded
from handlers.booking.commands import BookSession, CheckIn, CloseLane, ReopenLane, StartSession
from handlers.booking.events import DayException, Holidays, OpenSpan, Policy
from handlers.booking.model import rules
from handlers.booking.model.bookings import book_session
from handlers.booking.model.hours import (
    Span,
    closing_after,
    minutes_open,
    moment_of,
    open_spans,
    open_spans_around,
    slots_of,
)
from handlers.booking.model.states import Lane, Wish
from handlers.booking.views.lanes import closures
from handlers.booking.views.offers import CLOSED, NOT_FIRED, TAKEN, TOO_LATE, TOO_SOON, SlotView
from handlers.booking.views.slots import slots
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ALL_DAY,
    ANNA,
    BEN,
    BOOK,
    BOOKING,
    CARL,
    DAYTIME,
    INA,
    LANE,
    SET_UP,
    TERMS,
    WISH,
    clock,
    entitled,
    invoiced,
    issued,
    open_lane,
    person,
    registered,
    reserved,
    stocked,
    unhurried,
    validated,
)
from tests.handlers.booking.test_hours import DAY, days
from tests.handlers.scenario import NOON, given

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
MORNING = (OpenSpan(opens_minute=8 * 60, closes_minute=12 * 60),)
OTHER = UUID(int=0xB01)
CLOSURE = UUID(int=0xC1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def wish(policy: Policy, **changes: Any) -> Wish:
    return replace(WISH, lane=replace(LANE, policy=policy, **changes))


# Opening hours


def test_an_exception_comes_before_a_holiday_and_a_holiday_before_the_weekday() -> None:
    unity = date(2026, 10, 3)  # a Saturday
    holidays = Holidays(country="DE")
    assert minutes_open(DAYTIME, Policy(holidays=holidays), unity) == []
    short = Policy(holidays=holidays.model_copy(update={"open": MORNING}))
    assert minutes_open(DAYTIME, short, unity) == [(480, 720)]
    excepted = short.model_copy(update={"exceptions": (DayException(day=unity, open=()),)})
    assert minutes_open(DAYTIME, excepted, unity) == []
    assert minutes_open(DAYTIME, excepted, unity + DAY) == [(540, 1320)]


def test_holidays_are_those_of_the_part_of_the_country() -> None:
    epiphany = date(2026, 1, 6)
    assert minutes_open(DAYTIME, Policy(holidays=Holidays(country="DE", subdivision="BY")), epiphany) == []
    assert minutes_open(DAYTIME, Policy(holidays=Holidays(country="DE", subdivision="BE")), epiphany) != []


@unhurried
@for_all(days(), st.sampled_from(["exception", "holiday", "none"]), st.integers(5, 120))
def test_whatever_makes_a_day_special_its_hours_are_what_the_clocks_show(
    zone_day: tuple[ZoneInfo, date], kind: str, minutes: int
) -> None:
    """On days of 23 and 25 hours too: every slot of the day is as long as any other, and between the hours named."""
    zone, day = zone_day
    policy = {
        "exception": Policy(exceptions=(DayException(day=day, open=MORNING),)),
        "holiday": Policy(holidays=Holidays(country="DE", open=MORNING)),
        "none": Policy(),
    }[kind]
    spans = open_spans(ALL_DAY, zone, day, policy)
    special = minutes_open(ALL_DAY, policy, day) == [(480, 720)]
    assert special or kind != "exception"
    bounds = (480, 720) if special else (0, 1440)
    within = Span(moment_of(zone, day, bounds[0]), moment_of(zone, day, bounds[1]))
    assert spans == ([within] if within.starts_at < within.ends_at else [])
    for slot in slots_of(ALL_DAY, zone, minutes * MINUTE, day, policy):
        assert slot.ends_at - slot.starts_at == minutes * MINUTE
        assert within.starts_at <= slot.starts_at
        assert slot.ends_at <= within.ends_at


@unhurried
@for_all(days(), st.integers(0, 600), st.integers(0, 1439))
def test_the_last_start_is_counted_from_when_the_doors_really_close(
    zone_day: tuple[ZoneInfo, date], last_start: int, minute: int
) -> None:
    """With a range that is open from 6 to 22 every day, however long that is; in real time, not on the clock."""
    zone, day = zone_day
    hours = tuple(span.model_copy(update={"opens_minute": 360, "closes_minute": 1320}) for span in ALL_DAY)
    starts_at = moment_of(zone, day, minute)
    spans = open_spans_around(hours, zone, Span(starts_at, starts_at + MINUTE))
    if not any(span.starts_at <= starts_at < span.ends_at for span in spans):
        assert closing_after(spans, starts_at) == starts_at
        return
    closes = moment_of(zone, starts_at.astimezone(zone).date(), 1320)
    assert closing_after(spans, starts_at) == closes
    lane = replace(
        LANE, time_zone=zone.key, opening_hours=hours, slot=MINUTE, policy=Policy(last_start_minutes=last_start)
    )
    asked = BOOK.model_copy(update={"starts_at": starts_at, "ends_at": starts_at + MINUTE})
    decided = given(replace(WISH, lane=lane), at=starts_at - MINUTE, actor=person(INA)).when(book_session, asked)
    if starts_at > closes - last_start * MINUTE:
        decided.then_refused(rules.StartsTooLate)
    else:
        assert decided.refusal is None


# Notice, horizon, limits


@pytest.mark.parametrize(
    ("policy", "changes", "rule"),
    [
        (Policy(minimum_notice_minutes=121), {}, rules.NoticeTooShort),
        (Policy(horizon_days=1), {"starts_at": clock(14) + 2 * DAY, "ends_at": clock(15) + 2 * DAY}, rules.TooFarAhead),
        (Policy(last_start_minutes=481), {}, rules.StartsTooLate),
        (Policy(exceptions=(DayException(day=date(2026, 6, 1), open=()),)), {}, rules.RangeClosed),
        (Policy(exceptions=(DayException(day=date(2026, 6, 1), open=MORNING),)), {}, rules.RangeClosed),
    ],
)
def test_what_the_house_rules_refuse(policy: Policy, changes: dict[str, Any], rule: type[Rejected]) -> None:
    asked = BOOK.model_copy(update=changes)
    given(wish(policy), at=NOON, actor=person(ANNA)).when(book_session, asked).then_refused(rule)
    assert given(wish(Policy()), at=NOON, actor=person(ANNA)).when(book_session, asked).refusal is None


def test_staff_books_at_shorter_notice() -> None:
    short = wish(Policy(minimum_notice_minutes=24 * 60))
    assert given(short, at=NOON, actor=person(CARL)).when(book_session, BOOK).refusal is None


OWN = BOOK.model_copy(update={"weapon_type": None})


@pytest.mark.parametrize(
    ("limits", "calibre", "asked", "rule"),
    [
        ({"calibres": frozenset({".22 LR"})}, None, OWN, rules.CalibreNotSaid),
        ({"calibres": frozenset({".22 LR"})}, None, OWN.model_copy(update={"calibre": "9 mm"}), rules.CalibreNotOnLane),
        ({"calibres": frozenset({".22 LR"})}, "9 mm", BOOK, rules.CalibreNotOnLane),
        ({"calibres": frozenset({".22 LR"})}, None, BOOK, rules.CalibreNotOnLane),
        ({"most_energy_j": 200}, None, OWN, rules.EnergyNotSaid),
        ({"most_energy_j": 200}, None, OWN.model_copy(update={"energy_j": 201}), rules.TooMuchEnergy),
        ({"most_energy_j": 200}, None, OWN.model_copy(update={"energy_j": 200}), None),
        ({"calibres": frozenset({".22 LR"})}, ".22 LR", BOOK, None),
        ({"calibres": frozenset({".22 LR"})}, None, OWN.model_copy(update={"calibre": ".22 LR"}), None),
    ],
)
def test_a_lane_takes_what_its_backstop_holds(
    limits: dict[str, Any], calibre: str | None, asked: BookSession, rule: type[Rejected] | None
) -> None:
    limited = replace(wish(Policy(), **limits), calibre=calibre)
    decided = given(limited, actor=person(ANNA)).when(book_session, asked)
    if rule is None:
        assert decided.refusal is None
    else:
        decided.then_refused(rule)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        (Policy(holidays=Holidays(country="XX")), "holidays-unknown"),
        (Policy(holidays=Holidays(country="DE", subdivision="ZZ")), "holidays-unknown"),
        (Policy(exceptions=(DayException(day=date(2026, 6, 1)),) * 2), "day-named-twice"),
        (Policy(exceptions=(DayException(day=date(2026, 6, 1), open=MORNING * 2),)), "opening-hours-overlap"),
        (Policy(holidays=Holidays(country="DE", open=MORNING * 2)), "opening-hours-overlap"),
    ],
)
async def test_rules_that_make_no_sense(hall: Desk, policy: Policy, rule: str) -> None:
    assert await hall.refuses(SET_UP.model_copy(update={"policy": policy}), by=person(ADA)) == rule


# Buffers


BUFFERED = SET_UP.model_copy(update={"policy": Policy(buffer_before_minutes=10, buffer_after_minutes=20)})


@pytest.mark.parametrize(("gap", "free"), [(-1, False), (0, False), (1, True)])
async def test_between_two_bookings_of_a_lane_lie_the_buffers_of_both(hall: Desk, gap: int, free: bool) -> None:  # noqa: FBT001
    await hall.hears(BUFFERED, by=person(ADA))
    await hall.hears(BOOK, by=person(ANNA))
    starts_at = BOOK.ends_at + gap * timedelta(minutes=30)
    after = BOOK.model_copy(
        update={"booking": OTHER, "person": BEN, "starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=30)}
    )
    if free:
        await hall.hears(after, by=person(BEN))
        assert await hall.state_of(OTHER) == "held"
    else:
        assert await hall.refuses(after, by=person(BEN)) == "slot-taken"
        with pytest.raises(asyncpg.ExclusionViolationError, match="one_booking_a_lane"):
            await insert_like(hall, starts_at)
    elsewhere = BOOK.model_copy(
        update={"booking": UUID(int=0xB02), "lane": "lane-2", "starts_at": BOOK.ends_at, "ends_at": clock(15, 30)}
    )
    await hall.hears(elsewhere, by=person(ANNA))
    assert await hall.state_of(elsewhere.booking) == "held", "the shooter needs no buffer"


async def insert_like(hall: Desk, starts_at: datetime) -> None:
    """What the decision refuses, the table refuses too."""
    await hall.connection.execute(
        """
        INSERT INTO booking (booking, command, person, range, lane, discipline, starts_at, ends_at, during,
                             weapon_class, rounds, state, held_until, no_show_at, claim, participants, taken)
        SELECT $1, $1, $2, range, lane, discipline, $3::timestamptz, $4, tstzrange($3, $4), weapon_class, 0, 'held',
               held_until, $4, $1, '{}', tstzrange($3 - interval '10 min', $4 + interval '20 min')
        FROM booking WHERE booking = $5
        """,
        OTHER,
        BEN,
        starts_at,
        starts_at + timedelta(minutes=30),
        BOOKING,
    )


async def test_who_begins_early_takes_the_lane_from_then_on_and_its_buffers_stay(hall: Desk) -> None:
    await hall.hears(BUFFERED, by=person(ADA))
    await hall.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))
    hall.at = clock(13, 5)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), StartSession(booking=BOOKING), by=person(ANNA))
    (taken,) = await hall.connection.fetch("SELECT lower(taken), upper(taken) FROM booking")
    assert tuple(taken) == (clock(13, 5), clock(15, 20))
    events, rows = hall.events, await hall.rows()
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows


# Closures


CLOSE = CloseLane(closure=CLOSURE, lane="lane-1", starts_at=clock(13), ends_at=clock(16), reason="maintenance")


async def test_a_closed_lane_is_not_booked_until_it_is_open_again(hall: Desk) -> None:
    assert await hall.refuses(CLOSE, by=person(INA)) == "admins-only"
    await hall.hears(CLOSE, by=person(ADA))
    assert await hall.refuses(BOOK, by=person(ANNA)) == "lane-is-closed"
    before = {"booking": OTHER, "starts_at": clock(12, 30), "ends_at": clock(13)}
    await hall.hears(BOOK.model_copy(update=before), by=person(ANNA))
    assert await hall.state_of(OTHER) == "held"
    reopen = ReopenLane(lane="lane-1", closure=CLOSURE)
    assert await hall.refuses(reopen.model_copy(update={"lane": "lane-2"}), by=person(ADA)) == "closure-unknown"
    await hall.hears(reopen, by=person(ADA))
    await hall.hears(BOOK, by=person(ANNA))
    assert await hall.state_of(BOOKING) == "held"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"lane": "lane-9"}, "lane-unknown"),
        ({"ends_at": clock(13)}, "ends-before-start"),
        ({"starts_at": clock(10), "ends_at": clock(12)}, "time-past"),
        ({}, "closure-meets-booking"),
    ],
)
async def test_what_is_not_closed(hall: Desk, changes: dict[str, Any], rule: str) -> None:
    await hall.hears(BOOK, by=person(ANNA))
    assert await hall.refuses(CLOSE.model_copy(update=changes), by=person(ADA)) == rule


# What the slots show of it


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


async def tomorrow_at(hall: Desk, policy: Policy) -> datetime:
    """The midnight that tomorrow begins with, in a hall with slots of an hour."""
    await hall.hears(
        SET_UP.model_copy(update={"opening_hours": ALL_DAY, "slot_minutes": 60, "policy": policy}), by=person(ADA)
    )
    now: datetime = await hall.connection.fetchval("SELECT now()")
    hall.at = now
    await hall.hears(entitled(ANNA, ("air", now - DAY, FAR)))
    return datetime.combine(now.date(), time.min, UTC) + DAY


async def shown(gateway: asyncpg.Connection, day: date, lane: str = "lane-1") -> list[SlotView]:
    found = await slots(gateway, day, "hall", ANNA)
    assert found is not None
    return [slot for one in found.ranges[0].lanes if one.lane == lane for slot in one.slots]


async def test_slots_show_exceptions_and_closures_and_buffers(hall: Desk, gateway: asyncpg.Connection) -> None:
    day = await tomorrow_at(hall, Policy())
    exception = DayException(day=day.date(), open=MORNING)
    await tomorrow_at(hall, Policy(exceptions=(exception,), buffer_after_minutes=30))
    hour = timedelta(hours=1)
    at = day + 9 * hour
    await hall.hears(BOOK.model_copy(update={"starts_at": at, "ends_at": at + hour, "person": BEN}), by=person(INA))
    await hall.hears(
        CLOSE.model_copy(update={"starts_at": day + 11 * hour, "ends_at": day + 13 * hour}), by=person(ADA)
    )
    told = [slot.why for slot in await shown(gateway, day.date())]
    assert told == [TAKEN, TAKEN, TAKEN, CLOSED], "what comes before needs its own buffer"
    (closure,) = await closures(gateway, "lane-1", most=5)
    assert closure.reason == "maintenance"


async def test_slots_show_notice_last_start_and_horizon(hall: Desk, gateway: asyncpg.Connection) -> None:
    day = await tomorrow_at(hall, Policy())
    hours = tuple(span.model_copy(update={"opens_minute": 60}) for span in ALL_DAY)
    policy = Policy(minimum_notice_minutes=24 * 60, last_start_minutes=120, horizon_days=3)
    set_up = {"opening_hours": hours, "slot_minutes": 60, "policy": policy}
    await hall.hears(SET_UP.model_copy(update=set_up), by=person(ADA))
    later = [slot.why for slot in await shown(gateway, (day + DAY).date())]
    assert later[-1] == TOO_LATE
    assert later[:-1] == [None] * 22
    soon = [slot.why for slot in await shown(gateway, day.date())]
    assert soon[0] == TOO_SOON
    assert await shown(gateway, (day + 9 * DAY).date()) == []


async def test_slots_say_which_weapons_a_lane_does_not_take(hall: Desk, gateway: asyncpg.Connection) -> None:
    day = await tomorrow_at(hall, Policy())
    await hall.hears(open_lane("lane-1", calibres=(".22 LR",)), stocked(), registered(BEN), by=person(ADA))
    await hall.hears(
        WeaponTypeAdded(weapon_type="air-pistol", weapon_class="air", calibre="4.5 mm", title="Air pistol")
    )
    slot = (await shown(gateway, day.date()))[12]
    assert slot.weapon_types == ()
    assert [(one.weapon_type, one.why) for one in slot.not_possible] == [("air-pistol", NOT_FIRED)]
    assert [one.weapon_type for one in (await shown(gateway, day.date(), "lane-2"))[12].weapon_types] == ["air-pistol"]


def test_a_lane_knows_what_a_booking_takes_of_it() -> None:
    lane: Lane = replace(LANE, policy=Policy(buffer_before_minutes=5, buffer_after_minutes=7))
    assert lane.taken(Span(clock(14), clock(15))) == Span(clock(13, 55), clock(15, 7))
