"""What the slots cost and offer, as objects and as JSON; what else is free; and that reading them costs the same."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from handlers.booking.commands import CancelBooking
from handlers.booking.events import Policy
from handlers.booking.views.alternatives import alternatives
from handlers.booking.views.offers import NO_PRICE, Prices, Written
from handlers.booking.views.slots import setting_of, situation_of, slots, slots_json
from handlers.payment.model.prices import PriceList, lane_minor
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ALL_DAY,
    ANNA,
    BEN,
    BOOK,
    INA,
    SET_UP,
    entitled,
    open_lane,
    person,
    stocked,
    unhurried,
)

FAR = datetime(2100, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICES = Prices("EUR", 1250, {"air-pistol": 500})


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


@pytest.fixture
async def tomorrow(hall: Desk) -> datetime:
    """The midnight that tomorrow begins with, in a hall that never closes, with slots of half an hour."""
    now: datetime = await hall.connection.fetchval("SELECT now()")
    hall.at = now
    await hall.hears(SET_UP.model_copy(update={"opening_hours": ALL_DAY}), open_lane("lane-3"), by=person(ADA))
    await hall.hears(stocked("air-rifle"), entitled(ANNA, ("air", now - HOUR, FAR)))
    return datetime.combine(now.date() + timedelta(days=1), time.min, UTC)


def wish(number: int, who: UUID, lane: str, starts_at: datetime, hours: float = 1) -> Any:
    times = {"starts_at": starts_at, "ends_at": starts_at + hours * HOUR}
    return BOOK.model_copy(update={"booking": UUID(int=number), "person": who, "lane": lane, **times})


async def test_slots_say_what_they_cost(hall: Desk, gateway: asyncpg.Connection, tomorrow: datetime) -> None:
    await hall.hears(wish(1, BEN, "lane-1", tomorrow + 12 * HOUR), by=person(BEN))
    found = await slots(gateway, tomorrow.date(), "hall", ANNA, PRICES)
    assert found is not None
    assert found.currency == "EUR"
    [lane] = [one for one in found.ranges[0].lanes if one.lane == "lane-1"]
    assert {slot.price_minor for slot in lane.slots} == {625}
    free, taken = lane.slots[0], lane.slots[24]
    assert not taken.free
    assert [(one.weapon_type, one.price_minor) for one in free.weapon_types] == [("air-pistol", 500)]
    assert [(one.weapon_type, one.why) for one in free.not_possible] == [("air-rifle", NO_PRICE)]


@unhurried
@for_all(st.integers(0, 10**8), st.integers(1, 8 * 60))
def test_a_lane_costs_in_the_slots_what_is_invoiced(lane_hour_minor: int, minutes: int) -> None:
    lasts = timedelta(minutes=minutes)
    listed = PriceList("EUR", 1, 190, lane_hour_minor, {}, {})
    assert Prices("EUR", lane_hour_minor, {}).of_lane(lasts) == lane_minor(listed, lasts)


async def test_json_that_is_put_together_says_the_same_whatever_was_written_before(
    hall: Desk, gateway: asyncpg.Connection, tomorrow: datetime
) -> None:
    written = Written()
    steps: list[Any] = [
        None,
        wish(1, BEN, "lane-1", tomorrow + 12 * HOUR),
        wish(2, ANNA, "lane-2", tomorrow + 15 * HOUR),
        stocked("air-pistol", units=1),
        CancelBooking(booking=UUID(int=1)),
        entitled(ANNA),
        SET_UP.model_copy(update={"opening_hours": ALL_DAY, "policy": Policy(minimum_notice_minutes=36 * 60)}),
    ]
    seen = set()
    for step in steps:
        if step is not None:
            await hall.hears(step, by=person(ADA))
        for prices in (None, PRICES):
            setting = await setting_of(gateway)
            told = await slots_json(gateway, setting, tomorrow.date(), None, ANNA, prices, written)
            model = await slots(gateway, tomorrow.date(), None, ANNA, prices)
            assert told is not None
            assert model is not None
            assert json.loads(told) == json.loads(model.model_dump_json())
            seen.add(told)
    assert len(seen) == 2 * len(steps)


async def test_what_is_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.booking.views.offers.MOST_WRITTEN", 3)
    written = Written()
    assert [written.number(n) for n in range(5)] == [0, 1, 2, 0, 1]


async def test_who_cannot_have_a_time_is_told_the_nearest_that_are_free(
    hall: Desk, gateway: asyncpg.Connection, tomorrow: datetime
) -> None:
    noon = tomorrow + 12 * HOUR
    await hall.hears(wish(1, BEN, "lane-1", noon), wish(2, INA, "lane-2", noon - HOUR, 3), by=person(INA))
    found = await alternatives(gateway, ANNA, "lane-1", noon, noon + HOUR, "air", None)
    told = [(one.lane, (one.starts_at - noon) / HOUR) for one in found]
    assert told == [("lane-3", 0), ("lane-3", -0.5), ("lane-3", 0.5), ("lane-1", -1), ("lane-1", 1)]
    assert all(one.ends_at - one.starts_at == HOUR for one in found)
    await hall.hears(stocked("air-pistol", units=2))
    armed = await alternatives(gateway, ANNA, "lane-1", noon, noon + HOUR, "air", "air-pistol")
    assert noon not in {one.starts_at for one in armed}, "both pistols are booked then"
    for one in found:
        alone = wish(9, ANNA, one.lane, one.starts_at).model_copy(update={"weapon_type": None})
        await hall.hears(alone, by=person(ANNA))
        assert await hall.state_of(alone.booking) == "held"
        await hall.hears(CancelBooking(booking=alone.booking), by=person(ANNA))
        await hall.connection.execute("DELETE FROM booking WHERE booking = $1", alone.booking)
    assert await alternatives(gateway, ANNA, "lane-9", noon, noon + HOUR, "air", None) == []
    assert await alternatives(gateway, BEN, "lane-1", noon, noon + HOUR, "air", None) == [], "no licence, no offer"


PAST = """
    INSERT INTO booking (booking, command, person, range, lane, discipline, starts_at, ends_at, during, weapon_class,
                         weapon_type, rounds, state, held_until, no_show_at, claim, participants, taken, invoice,
                         total_minor, currency, checked_in_at, started_at, finished_at)
    SELECT b, b, b, 'hall', 'lane-1', 'air-pistol-10m', s, e, tstzrange(s, e), 'air', 'air-pistol', 0, 'finished', s, e,
           b, '{}', tstzrange(s, e), b, 100, 'EUR', s, s, e
    FROM (SELECT gen_random_uuid() AS b, now() - n * interval '1 hour' AS s,
                 now() - n * interval '1 hour' + interval '30 min' AS e
          FROM generate_series(1000, 1000 + $1::integer) AS n) AS x
"""


async def test_slots_cost_the_same_however_much_has_been(hall: Desk, database: Database, tomorrow: datetime) -> None:
    """Counted in the pages that its one statement touches."""
    await hall.hears(wish(1, BEN, "lane-1", tomorrow + 12 * HOUR), by=person(BEN))
    admin = await database.connect("postgres")

    async def pages() -> int:
        await admin.execute("VACUUM ANALYZE booking.booking")
        explained: list[str] = []

        class Explaining:
            async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
                [row] = await admin.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
                explained.append(row[0])
                raise StopAsyncIteration

        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await situation_of(Explaining(), tomorrow.date(), ANNA)  # type: ignore[arg-type]
        [plan] = json.loads(explained[0])
        return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])

    before = await pages()
    await hall.connection.execute(PAST, 5_000)
    after = await pages()
    await admin.close()
    assert after <= before + 20, f"{before} pages with no past, {after} with one"
