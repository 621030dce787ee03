"""What can be booked on a day, and what one shooter may shoot then."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.connection import Connection
from bus.fields import LATEST
from handlers.booking.model.hours import Span, closing_after, open_spans_around, slots_of
from handlers.booking.views.lanes import LaneView, RangeView, lanes, ranges
from handlers.booking.views.offers import (
    Closure,
    Entitled,
    Offers,
    Rules,
    Situation,
    SlotView,
    Stocked,
    Taken,
    TakenUnit,
)
from handlers.booking.views.view import View

_DAY = timedelta(days=1)


class LaneSlots(View):
    """A lane and its slots of a day."""

    lane: str
    distance_m: int
    discipline: str
    weapon_classes: tuple[str, ...]
    slots: tuple[SlotView, ...]


class RangeSlots(View):
    """A range and its lanes on a day of its own time zone."""

    range: str
    title: str
    time_zone: str
    slot_minutes: int
    lanes: tuple[LaneSlots, ...]


class SlotsView(View):
    """What can be booked on a day; a day that is past or too far ahead has no slots."""

    date: date
    ranges: tuple[RangeSlots, ...]
    notices: tuple[str, ...]


async def slots(connection: Connection, day: date, range_: str | None, person: UUID) -> SlotsView | None:
    """What a shooter could book on a local day of one range, or of all; None if there is no such range."""
    wanted = [one for one in await ranges(connection) if range_ in {None, one.range}]
    if range_ is not None and not wanted:
        return None
    all_lanes = await lanes(connection)
    now = await _now(connection)
    farthest = max((one.policy.horizon_days for one in wanted), default=0)
    bookable = now.date() - _DAY <= day <= now.date() + timedelta(days=farthest)
    situation = await situation_of(connection, day, person, now) if bookable else Situation(now, (), (), {}, ())
    found = (_range_slots(one, all_lanes, situation, day if bookable else None) for one in wanted)
    return SlotsView(date=day, ranges=tuple(found), notices=await _notices(connection, person))


def _range_slots(wanted: RangeView, all_lanes: list[LaneView], situation: Situation, day: date | None) -> RangeSlots:
    policy = wanted.policy
    if day is None or day > situation.now.date() + timedelta(days=policy.horizon_days):
        grid = []
    else:
        slot = timedelta(minutes=wanted.slot_minutes)
        grid = slots_of(wanted.opening_hours, ZoneInfo(wanted.time_zone), slot, day, policy)
    offers = Offers(grid, situation, _rules(wanted, grid, situation.now))
    return RangeSlots(
        range=wanted.range,
        title=wanted.title,
        time_zone=wanted.time_zone,
        slot_minutes=wanted.slot_minutes,
        lanes=tuple(
            LaneSlots(
                lane=lane.lane,
                distance_m=lane.distance_m,
                discipline=lane.discipline,
                weapon_classes=lane.weapon_classes,
                slots=offers.of_lane(lane.lane, lane.weapon_classes, lane.calibres),
            )
            for lane in all_lanes
            if lane.range == wanted.range
        ),
    )


def _rules(wanted: RangeView, grid: list[Span], now: datetime) -> Rules:
    policy = wanted.policy
    latest_starts = None
    if policy.last_start_minutes and grid:
        around = Span(grid[0].starts_at, grid[-1].ends_at)
        spans = open_spans_around(wanted.opening_hours, ZoneInfo(wanted.time_zone), around, policy)
        before_closing = timedelta(minutes=policy.last_start_minutes)
        starts = (slot.starts_at for slot in grid)
        latest_starts = frozenset(at for at in starts if at <= closing_after(spans, at) - before_closing)
    return Rules(
        before=timedelta(minutes=policy.buffer_before_minutes),
        after=timedelta(minutes=policy.buffer_after_minutes),
        bookable_from=now + timedelta(minutes=policy.minimum_notice_minutes),
        latest_starts=latest_starts,
    )


async def situation_of(connection: Connection, day: date, person: UUID, now: datetime) -> Situation:
    """All that a day's offers to a person follow from, as things stand at `now`."""
    midnight = datetime.combine(day, time.min, UTC)
    anywhere = Span(midnight - _DAY, midnight + 2 * _DAY)  # holds the day in every time zone
    return Situation(
        now=now,
        taken=await _taken(connection, anywhere, person),
        units_taken=await _units_taken(connection, anywhere, now),
        entitled=await _entitled(connection, person),
        supervised=await _supervised(connection, anywhere),
        stock=await _stock(connection),
        closures=await _closures(connection, anywhere),
    )


async def _now(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval("SELECT now()")
    return now


async def _taken(connection: Connection, within: Span, person: UUID) -> list[Taken]:
    rows = await connection.fetch(
        """
        SELECT lane, person = $3 OR $3 = ANY (participants) AS by_shooter,
               lower(during) AS starts_at, upper(during) AS ends_at, lower(taken) AS taken_from,
               upper(taken) AS taken_until
        FROM booking.bookings
        WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use') AND taken && tstzrange($1, $2)
        UNION ALL
        SELECT offered_lane, false, starts_at, ends_at, lower(offered_taken), upper(offered_taken)
        FROM booking.waitlist
        WHERE state = 'offered' AND offered_taken && tstzrange($1, $2)
        """,
        within.starts_at,
        within.ends_at,
        person,
    )
    return [
        Taken(
            row["lane"],
            row["by_shooter"],
            Span(row["starts_at"], row["ends_at"]),
            Span(row["taken_from"], row["taken_until"]),
        )
        for row in rows
    ]


async def _closures(connection: Connection, within: Span) -> list[Closure]:
    rows = await connection.fetch(
        """
        SELECT lane, lower(during) AS starts_at, upper(during) AS ends_at
        FROM booking.closures
        WHERE during && tstzrange($1, $2)
        """,
        within.starts_at,
        within.ends_at,
    )
    return [Closure(row["lane"], Span(row["starts_at"], row["ends_at"])) for row in rows]


async def _units_taken(connection: Connection, within: Span, now: datetime) -> list[TakenUnit]:
    """A unit that is out past its end is taken until it comes back, and nobody knows when that is."""
    rows = await connection.fetch(
        """
        SELECT weapon_type, lower(during) AS starts_at,
               CASE WHEN out AND upper(during) <= $3 THEN $4 ELSE upper(during) END AS ends_at
        FROM booking.weapons_taken
        WHERE during && tstzrange($1, $2) OR out
        """,
        within.starts_at,
        within.ends_at,
        now,
        LATEST,
    )
    return [TakenUnit(row["weapon_type"], Span(row["starts_at"], row["ends_at"])) for row in rows]


async def _entitled(connection: Connection, person: UUID) -> Entitled:
    rows = await connection.fetch(
        """
        SELECT weapon_class, supervised_at_most, lower(during) AS valid_from, upper(during) AS valid_until
        FROM booking.entitlements
        WHERE person = $1
        ORDER BY during
        """,
        person,
    )
    entitled: defaultdict[str, defaultdict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        span = Span(row["valid_from"], row["valid_until"])
        entitled[row["weapon_class"]][row["supervised_at_most"]].append(span)
    return entitled


async def _supervised(connection: Connection, within: Span) -> list[Span]:
    rows = await connection.fetch(
        """
        SELECT lower(during) AS starts_at, upper(during) AS ends_at
        FROM booking.supervised
        WHERE during && tstzrange($1, $2)
        """,
        within.starts_at,
        within.ends_at,
    )
    return [Span(row["starts_at"], row["ends_at"]) for row in rows]


async def _notices(connection: Connection, person: UUID) -> tuple[str, ...]:
    """What the shooter should know before choosing: which entitlements end soon."""
    rows = await connection.fetch(
        """
        SELECT weapon_class, upper(during) AS valid_until FROM booking.entitlements
        WHERE person = $1 AND expiry_foreseen AND upper(during) > now()
        ORDER BY valid_until, weapon_class
        """,
        person,
    )
    return tuple(
        f"The licence for weapons of class {row['weapon_class']} ends on {row['valid_until']:%Y-%m-%d %H:%M} UTC; "
        "bookings after that are refused."
        for row in rows
    )


async def _stock(connection: Connection) -> list[Stocked]:
    rows = await connection.fetch(
        """
        SELECT weapon_type, weapon_class, title, units, calibre
        FROM booking.weapon_types
        ORDER BY weapon_type
        """
    )
    return [Stocked(**row) for row in rows]
