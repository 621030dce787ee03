"""What is loaded for each decision. Rows are locked in one order: range, lane, booking.

A lane is locked before its bookings are read, in a statement of its own: the next one sees what the lock's last
holder wrote.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol
from uuid import UUID

from asyncpg import Record
from pydantic import TypeAdapter

from bus.connection import Connection
from handlers.auth.events import EntitlementsPublished
from handlers.booking.commands import BookSession, CeaseFire, OpenLane, ResumeFire, SetUpRange, StartSession
from handlers.booking.events import OpeningHours, Terms
from handlers.booking.model.hours import Span
from handlers.booking.model.states import (
    Booking,
    Case,
    Ceased,
    Clash,
    FiringCase,
    Lane,
    RangeCase,
    Staff,
    StartCase,
    State,
    Wish,
)

_OPENING_HOURS = TypeAdapter(tuple[OpeningHours, ...])


class AboutBooking(Protocol):
    """A message, own or foreign, about one booking."""

    @property
    def booking(self) -> UUID: ...


async def load_range_case(connection: Connection, asked: SetUpRange | OpenLane) -> RangeCase:
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM range WHERE range = $1) AS range_known,
               (SELECT range FROM lane WHERE lane = $2) AS lane_in
        """,
        asked.range,
        asked.lane if isinstance(asked, OpenLane) else None,
    )
    assert row is not None
    return RangeCase(row["range_known"], row["lane_in"], await load_staff(connection))


async def load_firing(connection: Connection, asked: CeaseFire | ResumeFire) -> FiringCase:
    """Holds the range's row: no start is decided meanwhile."""
    time_zone: str | None = await connection.fetchval(
        """
        SELECT time_zone FROM range WHERE range = $1 FOR NO KEY UPDATE
        """,
        asked.range,
    )
    lanes: list[str] = await connection.fetchval(
        """
        SELECT array(SELECT lane FROM lane WHERE range = $1 ORDER BY lane)
        """,
        asked.range,
    )
    return FiringCase(time_zone, tuple(lanes), await load_ceased(connection, asked.range), await load_staff(connection))


async def load_ceased(connection: Connection, range_: str) -> Ceased | None:
    row = await connection.fetchrow(
        """
        SELECT c.cease_fire, c.ordered_at, r.time_zone
        FROM cease_fire AS c JOIN range AS r USING (range)
        WHERE c.range = $1 AND c.resumed_at IS NULL
        """,
        range_,
    )
    return None if row is None else Ceased(row["cease_fire"], row["ordered_at"], row["time_zone"])


async def load_wish(connection: Connection, asked: BookSession) -> Wish:
    lane = await lock_lane(connection, asked.lane)
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM booking WHERE booking = $1) AS taken,
               (SELECT weapon_class FROM known_weapon_type WHERE weapon_type = $2) AS weapon_class
        """,
        asked.booking,
        asked.weapon_type,
    )
    assert row is not None
    clash = await load_clash(connection, asked)
    return Wish(row["taken"], lane, row["weapon_class"], clash, await load_staff(connection))


async def lock_lane(connection: Connection, lane: str) -> Lane | None:
    row = await connection.fetchrow(
        """
        SELECT l.lane, l.range, l.discipline, l.weapon_classes, r.time_zone, r.slot_minutes, r.hold_seconds,
               r.no_show_minutes,
               coalesce((
                   SELECT json_agg(json_build_object('weekday', h.weekday, 'opens_minute', h.opens_minute,
                                                     'closes_minute', h.closes_minute))
                   FROM opening_hours AS h WHERE h.range = l.range), '[]') AS opening_hours
        FROM lane AS l JOIN range AS r USING (range)
        WHERE l.lane = $1
        FOR NO KEY UPDATE OF l
        """,
        lane,
    )
    if row is None:
        return None
    return Lane(
        lane=row["lane"],
        range=row["range"],
        discipline=row["discipline"],
        weapon_classes=frozenset(row["weapon_classes"]),
        time_zone=row["time_zone"],
        opening_hours=_OPENING_HOURS.validate_json(row["opening_hours"]),
        slot=timedelta(minutes=row["slot_minutes"]),
        hold=timedelta(seconds=row["hold_seconds"]),
        no_show_after=timedelta(minutes=row["no_show_minutes"]),
    )


async def load_clash(connection: Connection, asked: BookSession) -> Clash | None:
    """Whatever is in the way of the time asked for, even if that is the wrong way round; the lane's comes first."""
    row = await connection.fetchrow(
        """
        SELECT lane, lower(during) AS starts_at, upper(during) AS ends_at
        FROM booking
        WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND during && tstzrange(least($3::timestamptz, $4), greatest($3, $4::timestamptz))
          AND (lane = $1 OR person = $2)
        ORDER BY lane = $1 DESC, during
        LIMIT 1
        """,
        asked.lane,
        asked.person,
        asked.starts_at,
        asked.ends_at,
    )
    return None if row is None else _clash(row)


async def load_staff(connection: Connection) -> Staff:
    """Everybody who works at the range; they are few."""
    rows = await connection.fetch(
        """
        SELECT person, roles FROM known_staff
        """
    )
    return Staff({row["person"]: frozenset(row["roles"]) for row in rows})


async def load_case(connection: Connection, asked: AboutBooking) -> Case:
    return Case(await load_booking(connection, asked), await load_staff(connection))


async def load_booking(connection: Connection, asked: AboutBooking) -> Booking | None:
    row = await connection.fetchrow(
        """
        SELECT b.booking, b.command, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.weapon_class,
               b.weapon_type, b.rounds, b.state, b.held_until, b.no_show_at, b.entitlement_lost_at,
               r.time_zone, r.early_check_in_minutes,
               ARRAY(SELECT a.service FROM known_agreement AS a WHERE a.booking = b.booking) AS agreed,
               EXISTS (SELECT FROM known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL)
                   AS weapon_out
        FROM booking AS b JOIN range AS r USING (range)
        WHERE b.booking = $1
        FOR NO KEY UPDATE OF b
        """,
        asked.booking,
    )
    return None if row is None else _booking(row)


async def load_active(connection: Connection, published: EntitlementsPublished) -> list[Booking]:
    """A person's active bookings: those that depend on what the person may shoot."""
    rows = await connection.fetch(
        """
        SELECT b.booking, b.command, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.weapon_class,
               b.weapon_type, b.rounds, b.state, b.held_until, b.no_show_at, b.entitlement_lost_at,
               r.time_zone, r.early_check_in_minutes,
               ARRAY(SELECT a.service FROM known_agreement AS a WHERE a.booking = b.booking) AS agreed,
               EXISTS (SELECT FROM known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL)
                   AS weapon_out
        FROM booking AS b JOIN range AS r USING (range)
        WHERE b.person = $1 AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use')
        ORDER BY b.booking
        FOR NO KEY UPDATE OF b
        """,
        published.person,
    )
    return [_booking(row) for row in rows]


def _booking(row: Record) -> Booking:
    return Booking(
        terms=Terms(**{name: row[name] for name in Terms.model_fields}),
        state=State(row["state"]),
        held_until=row["held_until"],
        no_show_at=row["no_show_at"],
        agreed=frozenset(row["agreed"]),
        weapon_out=row["weapon_out"],
        time_zone=row["time_zone"],
        early_check_in=timedelta(minutes=row["early_check_in_minutes"]),
        entitlement_lost=row["entitlement_lost_at"] is not None,
    )


async def load_start(connection: Connection, asked: StartSession) -> StartCase:
    await lock_range_of(connection, asked.booking)
    await lock_lane_of(connection, asked.booking)
    case = await load_case(connection, asked)
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM booking AS o WHERE o.lane = b.lane AND o.state = 'in-use') AS lane_in_use,
               EXISTS (SELECT FROM booking AS o WHERE o.person = b.person AND o.state = 'in-use') AS shooter_in_session
        FROM booking AS b WHERE b.booking = $1
        """,
        asked.booking,
    )
    if row is None:
        return StartCase(case, lane_in_use=False, shooter_in_session=False, before=None)
    before = await load_last_before(connection, asked.booking)
    ceased = None if case.booking is None else await load_ceased(connection, case.booking.terms.range)
    return StartCase(case, row["lane_in_use"], row["shooter_in_session"], before, ceased)


async def lock_range_of(connection: Connection, booking: UUID) -> None:
    """Against a cease fire that is decided at the same time."""
    await connection.execute(
        """
        SELECT FROM range WHERE range = (SELECT b.range FROM booking AS b WHERE b.booking = $1)
        FOR SHARE
        """,
        booking,
    )


async def lock_lane_of(connection: Connection, booking: UUID) -> None:
    await connection.execute(
        """
        SELECT FROM lane WHERE lane = (SELECT b.lane FROM booking AS b WHERE b.booking = $1)
        FOR NO KEY UPDATE
        """,
        booking,
    )


async def load_last_before(connection: Connection, booking: UUID) -> Clash | None:
    """Of the other active bookings of its lane or shooter that begin before this one, the last to end."""
    row = await connection.fetchrow(
        """
        SELECT o.lane, lower(o.during) AS starts_at, upper(o.during) AS ends_at
        FROM booking AS b
        JOIN booking AS o ON o.booking <> b.booking AND (o.lane = b.lane OR o.person = b.person)
        WHERE b.booking = $1 AND o.state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND o.during && tstzrange(NULL, b.starts_at)
        ORDER BY upper(o.during) DESC
        LIMIT 1
        """,
        booking,
    )
    return None if row is None else _clash(row)


def _clash(row: Record) -> Clash:
    return Clash(row["lane"], Span(row["starts_at"], row["ends_at"]))
