"""Cease fire on all lanes of a range: who orders it, what it stops, and who lets the range go on."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from bus.service import Given
from handlers.booking.commands import CeaseFire, CheckIn, FinishSession, ResumeFire, StartSession
from handlers.booking.events import CeaseFireOrdered, FireResumed
from handlers.booking.model import rules
from handlers.booking.model.cease_fires import cease_fire, resume_fire
from handlers.booking.model.sessions import start_session
from handlers.booking.model.states import Ceased, FiringCase, StartCase, State
from handlers.booking.views.lanes import cease_fires, lanes
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ANNA,
    BOOK,
    BOOKING,
    CARL,
    INA,
    SET_UP,
    STAFF,
    TERMS,
    booked,
    case,
    clock,
    invoiced,
    issued,
    open_lane,
    person,
    reserved,
    returned,
    validated,
)
from tests.handlers.scenario import ID, given

CEASE = CeaseFire(range="hall", reason="person-on-the-range")
RESUME = ResumeFire(range="hall")
QUIET = FiringCase(time_zone="UTC", lanes=("lane-1", "lane-2"), ceased=None, staff=STAFF)
CEASED = Ceased(UUID(int=9), clock(12), "UTC")
HOLDS = replace(QUIET, ceased=CEASED)


@pytest.mark.parametrize("who", [INA, CARL, ADA])
def test_whoever_works_at_the_range_orders_cease_fire_on_all_its_lanes(who: UUID) -> None:
    given(QUIET, at=clock(14), actor=person(who)).when(cease_fire, CEASE).then(
        CeaseFireOrdered(
            range="hall",
            cease_fire=ID,
            lanes=("lane-1", "lane-2"),
            reason="person-on-the-range",
            ordered_by=person(who),
            ordered_at=clock(14),
        )
    )


def test_fire_has_ceased_since_it_was_asked_for_however_late_that_is_decided() -> None:
    late = Given(clock(14, 10), ID, ID, person(INA), appended_at=clock(14))
    (ordered,) = cease_fire(QUIET, CEASE, late)
    assert isinstance(ordered, CeaseFireOrdered)
    assert ordered.ordered_at == clock(14)


def test_who_does_not_work_there_orders_nothing() -> None:
    given(QUIET, actor=person(ANNA)).when(cease_fire, CEASE).then_refused(rules.StaffOnly)
    given(HOLDS, actor=person(CARL)).when(resume_fire, RESUME).then_refused(rules.RangeOfficersOnly)


def test_one_holds_at_a_time_and_an_instructor_ends_it() -> None:
    given(HOLDS, actor=person(INA)).when(cease_fire, CEASE).then_refused(
        rules.CeaseFireHolds, since="2026-06-01 12:00 UTC"
    )
    given(QUIET, actor=person(INA)).when(resume_fire, RESUME).then_refused(rules.NoCeaseFire)
    given(HOLDS, at=clock(12, 5), actor=person(INA)).when(resume_fire, RESUME).then(
        FireResumed(range="hall", cease_fire=CEASED.cease_fire, resumed_by=person(INA), resumed_at=clock(12, 5))
    )
    nowhere = replace(QUIET, time_zone=None, lanes=())
    given(nowhere, actor=person(INA)).when(cease_fire, CEASE).then_refused(rules.RangeUnknown)


def test_no_session_begins_while_it_holds() -> None:
    ready = case(booked(State.CHECKED_IN, weapon_out=True))
    start = StartCase(ready, lane_in_use=False, shooter_in_session=False, before=None, ceased=CEASED)
    begin = StartSession(booking=BOOKING)
    given(start, at=clock(14), actor=person(ANNA)).when(start_session, begin).then_refused(rules.CeaseFireHolds)
    given(replace(start, ceased=None), at=clock(14), actor=person(ANNA)).when(start_session, begin)


async def ready(hall: Desk) -> None:
    await hall.hears(BOOK, validated(TERMS), reserved(TERMS), invoiced(TERMS), by=person(ANNA))
    hall.at = clock(14)
    await hall.hears(CheckIn(booking=BOOKING), issued(BOOKING), by=person(ANNA))


async def test_a_range_stands_still_until_it_is_resumed_and_its_neighbour_does_not(hall: Desk) -> None:
    await ready(hall)
    await hall.hears(SET_UP.model_copy(update={"range": "field"}), open_lane("far-1", range="field"), by=person(ADA))
    await hall.hears(CeaseFire(range="field", reason="injury"), by=person(INA))
    await hall.hears(CEASE, by=person(CARL))
    assert await hall.refuses(StartSession(booking=BOOKING), by=person(ANNA)) == "cease-fire-holds"
    assert await hall.refuses(CEASE, by=person(INA)) == "cease-fire-holds"
    hall.later(5)
    await hall.hears(RESUME, by=person(INA))
    await hall.hears(StartSession(booking=BOOKING), by=person(ANNA))
    assert await hall.state_of(BOOKING) == "in-use"
    await hall.hears(CEASE, by=person(INA))
    await hall.hears(returned(BOOKING), FinishSession(booking=BOOKING), by=person(INA))
    assert await hall.state_of(BOOKING) == "finished", "what runs may end"


async def test_everybody_sees_that_it_holds_and_staff_when_others_did(hall: Desk, database: Database) -> None:
    await hall.hears(CEASE, by=person(INA))
    gateway = await database.connect("gateway")
    assert {one.cease_fire_since for one in await lanes(gateway)} == {hall.at}
    hall.later(5)
    await hall.hears(RESUME, by=person(INA))
    assert {one.cease_fire_since for one in await lanes(gateway)} == {None}
    hall.later(5)
    await hall.hears(CEASE, by=person(CARL))
    told = [(one.ordered_by, one.resumed_by) for one in await cease_fires(gateway, "hall", most=10)]
    assert told == [(person(CARL), None), (person(INA), person(INA))]
    await gateway.close()


async def test_the_database_keeps_to_one_a_range(hall: Desk) -> None:
    await hall.hears(CEASE, by=person(INA))
    with pytest.raises(asyncpg.UniqueViolationError, match="one_cease_fire_a_range"):
        await hall.connection.execute(
            "INSERT INTO cease_fire VALUES (gen_random_uuid(), 'hall', 'other', 'service:test', now())"
        )


async def test_a_start_and_a_cease_fire_at_the_same_moment_do_not_pass_each_other(
    hall: Desk, database: Database
) -> None:
    """The start waits for the cease fire that is being decided, and then sees it."""
    await ready(hall)
    connection = await database.connect("booking")
    transaction = connection.transaction()
    await transaction.start()
    await Desk(connection, at=hall.at).hears(CEASE, by=person(INA))
    starting = asyncio.create_task(hall.refuses(StartSession(booking=BOOKING), by=person(ANNA)))
    await asyncio.sleep(0.2)
    assert not starting.done()
    await transaction.commit()
    assert await starting == "cease-fire-holds"
    await connection.close()


async def test_it_follows_from_its_events(hall: Desk) -> None:
    for command in (CEASE, RESUME, CEASE):
        hall.at += timedelta(minutes=1)
        await hall.hears(command, by=person(INA))
    events, rows = hall.events, await hall.rows()
    await hall.forget()
    await hall.replay(events)
    assert await hall.rows() == rows
    assert len(rows["cease_fire"]) == 2
