"""What can be booked on a day, and what one shooter may shoot then."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.connection import Connection
from bus.fields import EARLIEST, LATEST
from handlers.booking.model.hours import Span, closing_after, open_spans_around, slots_of
from handlers.booking.views.lanes import RangeView, ranges
from handlers.booking.views.offers import (
    Closure,
    Offered,
    Offers,
    Prices,
    Rules,
    Situation,
    SlotView,
    Stocked,
    Taken,
    TakenUnit,
    Written,
)
from handlers.booking.views.view import View

_DAY: Final = timedelta(days=1)
_LONGEST_BUFFER: Final = timedelta(hours=4)


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
    """What can be booked on a day, and the prices in force; a day that is past or too far ahead has no slots."""

    date: date
    currency: str | None
    ranges: tuple[RangeSlots, ...]
    notices: tuple[str, ...]


class LaneSetting(NamedTuple):
    """A lane as it was opened."""

    lane: str
    range: str
    distance_m: int
    discipline: str
    weapon_classes: tuple[str, ...]
    calibres: tuple[str, ...]


class Setting(NamedTuple):
    """What changes seldom: ranges, lanes, and the club's weapons."""

    ranges: Sequence[RangeView]
    lanes: Sequence[LaneSetting]
    stock: Sequence[Stocked]


class Row(NamedTuple):
    """A range and, lane by lane, its slots."""

    range: RangeView
    lanes: Sequence[tuple[LaneSetting, list[Offered]]]


class Shown(NamedTuple):
    """What a shooter is shown of a day."""

    rows: Sequence[Row]
    notices: tuple[str, ...]


async def setting_of(connection: Connection) -> Setting:
    rows = await connection.fetch(
        """
        SELECT lane, range, distance_m, discipline, weapon_classes, calibres
        FROM booking.lane_settings
        ORDER BY range, lane
        """
    )
    lanes = [
        LaneSetting(**{**row, "weapon_classes": tuple(row["weapon_classes"]), "calibres": tuple(row["calibres"])})
        for row in rows
    ]
    return Setting(await ranges(connection), lanes, await _stock(connection))


async def slots(
    connection: Connection, day: date, range_: str | None, person: UUID, prices: Prices | None = None
) -> SlotsView | None:
    """What a shooter could book on a local day of one range, or of all; None if there is no such range."""
    shown = await shown_slots(connection, await setting_of(connection), day, range_, person, prices, Written())
    if shown is None:
        return None
    found = (
        RangeSlots(
            range=row.range.range,
            title=row.range.title,
            time_zone=row.range.time_zone,
            slot_minutes=row.range.slot_minutes,
            lanes=tuple(
                LaneSlots(
                    lane=lane.lane,
                    distance_m=lane.distance_m,
                    discipline=lane.discipline,
                    weapon_classes=lane.weapon_classes,
                    slots=tuple(offered.view for offered in offers),
                )
                for lane, offers in row.lanes
            ),
        )
        for row in shown.rows
    )
    currency = None if prices is None else prices.currency
    return SlotsView(date=day, currency=currency, ranges=tuple(found), notices=shown.notices)


async def slots_json(
    connection: Connection,
    setting: Setting,
    day: date,
    range_: str | None,
    person: UUID,
    prices: Prices | None,
    written: Written,
) -> str | None:
    """The same as JSON, put together from slots that were written before."""
    shown = await shown_slots(connection, setting, day, range_, person, prices, written)
    if shown is None:
        return None
    told = {"date": day.isoformat(), "currency": None if prices is None else prices.currency}
    found = ",".join(_range_json(row) for row in shown.rows)
    return f'{json.dumps(told)[:-1]}, "ranges": [{found}], "notices": {json.dumps(shown.notices)}}}'


def _range_json(row: Row) -> str:
    about = {name: getattr(row.range, name) for name in ("range", "title", "time_zone", "slot_minutes")}
    lanes = ",".join(_lane_json(lane, offers) for lane, offers in row.lanes)
    return f'{json.dumps(about)[:-1]}, "lanes": [{lanes}]}}'


def _lane_json(lane: LaneSetting, offers: list[Offered]) -> str:
    about = {name: getattr(lane, name) for name in ("lane", "distance_m", "discipline", "weapon_classes")}
    return f'{json.dumps(about)[:-1]}, "slots": [{",".join([offered.json for offered in offers])}]}}'


async def shown_slots(
    connection: Connection,
    setting: Setting,
    day: date,
    range_: str | None,
    person: UUID,
    prices: Prices | None,
    written: Written,
) -> Shown | None:
    """The slots of a local day, lane by lane; None if there is no such range."""
    wanted = [one for one in setting.ranges if range_ in {None, one.range}]
    if range_ is not None and not wanted:
        return None
    grids = {one.range: _grid(one, day) for one in wanted}
    situation = await situation_of(connection, day, person, setting=setting, within=_bounds(grids.values()))
    rows = list(_rows(wanted, grids, setting, situation, day, prices, written))
    return Shown(rows, tuple(_notice(*ending) for ending in situation.endings))


def _rows(
    wanted: Sequence[RangeView],
    grids: dict[str, list[Span]],
    setting: Setting,
    situation: Situation,
    day: date,
    prices: Prices | None,
    written: Written,
) -> Iterator[Row]:
    today = situation.now.date()
    for one in wanted:
        bookable = today - _DAY <= day <= today + timedelta(days=one.policy.horizon_days)
        grid = grids[one.range] if bookable else []
        offers = Offers(grid, situation, _rules(one, grid, situation.now), prices, written)
        lanes = [lane for lane in setting.lanes if lane.range == one.range]
        yield Row(one, [(lane, offers.row(lane.lane, lane.weapon_classes, lane.calibres)) for lane in lanes])


def _grid(wanted: RangeView, day: date) -> list[Span]:
    slot = timedelta(minutes=wanted.slot_minutes)
    return slots_of(wanted.opening_hours, ZoneInfo(wanted.time_zone), slot, day, wanted.policy)


def _bounds(grids: Iterable[list[Span]]) -> Span | None:
    """From the first slot's begin to the last one's end, and the longest buffers around."""
    slots = [slot for grid in grids for slot in (grid[:1] + grid[-1:])]
    if not slots:
        return None
    first, last = min(slot.starts_at for slot in slots), max(slot.ends_at for slot in slots)
    first, last = (min(max(moment, EARLIEST), LATEST) for moment in (first, last))
    return Span(first - _LONGEST_BUFFER, last + _LONGEST_BUFFER)


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


async def situation_of(
    connection: Connection,
    day: date,
    person: UUID,
    now: datetime | None = None,
    *,
    setting: Setting | None = None,
    within: Span | None = None,
) -> Situation:
    """All that a day's offers to a person follow from, as things stand at `now`, or at this moment."""
    midnight = datetime.combine(day, time.min, UTC)
    within = within or Span(midnight - _DAY, midnight + 2 * _DAY)  # holds the day in every time zone
    rows = await connection.fetch(
        """
        SELECT 'now' AS kind, '' AS name, coalesce($4, now()) AS starts_at, coalesce($4, now()) AS ends_at, 0 AS units
        UNION ALL
        SELECT 'taken', string_agg(lane, ' '), lower(taken), upper(taken), 0
        FROM booking.bookings
        WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use') AND taken && tstzrange($1, $2)
        GROUP BY taken
        UNION ALL
        SELECT 'taken', offered_lane, lower(offered_taken), upper(offered_taken), 0
        FROM booking.waitlist
        WHERE state = 'offered' AND offered_taken && tstzrange($1, $2)
        UNION ALL
        SELECT 'closed', lane, lower(during), upper(during), 0
        FROM booking.closures
        WHERE during && tstzrange($1, $2)
        UNION ALL
        SELECT 'own', '', lower(during), upper(during), 0
        FROM booking.shooter_times
        WHERE person = $3 AND during && tstzrange($1, $2)
        UNION ALL
        SELECT 'unit', weapon_type, lower(during),
               CASE WHEN out AND upper(during) <= coalesce($4, now()) THEN $5 ELSE upper(during) END, count(*)::integer
        FROM booking.weapons_taken
        WHERE taken && tstzrange($1, $2) AND during && tstzrange($1, $2) OR out
        GROUP BY weapon_type, during, out
        UNION ALL
        SELECT 'entitled', weapon_class, lower(during), upper(during), supervised_at_most
        FROM booking.entitlements
        WHERE person = $3
        UNION ALL
        SELECT 'supervised', '', lower(during), upper(during), 0
        FROM booking.supervised
        WHERE during && tstzrange($1, $2)
        UNION ALL
        SELECT 'ending', weapon_class, upper(during), upper(during), 0
        FROM booking.entitlements
        WHERE person = $3 AND expiry_foreseen AND upper(during) > coalesce($4, now())
        """,
        within.starts_at,
        within.ends_at,
        person,
        now,
        LATEST,
    )
    found: defaultdict[str, list[tuple[str, Span]]] = defaultdict(list)
    kept: list[TakenUnit] = []
    entitled: defaultdict[str, defaultdict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for kind, name, starts_at, ends_at, units in rows:
        if kind == "unit":
            kept.append(TakenUnit(name, Span(starts_at, ends_at), units))
        elif kind == "entitled":
            entitled[name][units].append(Span(starts_at, ends_at))
        else:
            found[kind].append((name, Span(starts_at, ends_at)))
    in_order = {
        weapon_class: {at_most: sorted(spans) for at_most, spans in kinds.items()}
        for weapon_class, kinds in entitled.items()
    }
    [(_, moment)] = found["now"]
    return Situation(
        now=moment.starts_at,
        taken=[Taken(tuple(lanes.split(" ")), during) for lanes, during in found["taken"]],
        own=[during for _, during in found["own"]],
        units_taken=kept,
        entitled=in_order,
        stock=await _stock(connection) if setting is None else setting.stock,
        closures=[Closure(*one) for one in found["closed"]],
        supervised=[during for _, during in found["supervised"]],
        endings=sorted(((name, until.starts_at) for name, until in found["ending"]), key=lambda one: (one[1], one[0])),
    )


def _notice(weapon_class: str, valid_until: datetime) -> str:
    """What the shooter should know before choosing."""
    return (
        f"The licence for weapons of class {weapon_class} ends on {valid_until:%Y-%m-%d %H:%M} UTC; "
        "bookings after that are refused."
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
