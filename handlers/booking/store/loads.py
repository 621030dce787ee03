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
from handlers.booking.commands import (
    AddParticipant,
    BookSession,
    CeaseFire,
    CloseLane,
    OpenLane,
    RemoveParticipant,
    ReopenLane,
    RescheduleBooking,
    ResumeFire,
    SetUpRange,
    StartSession,
    TransferBooking,
)
from handlers.booking.events import OpeningHours, Policy, Terms
from handlers.booking.model.hours import Span
from handlers.booking.model.states import (
    Booking,
    Case,
    Ceased,
    Clash,
    ClosingCase,
    FiringCase,
    Lane,
    RangeCase,
    Rescheduling,
    ShareCase,
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


async def load_closing(connection: Connection, asked: CloseLane | ReopenLane) -> ClosingCase:
    lane = await lock_lane(connection, asked.lane)
    rows = await connection.fetch(
        """
        SELECT closure FROM closure WHERE lane = $1
        """,
        asked.lane,
    )
    met = None
    if isinstance(asked, CloseLane):
        met = await connection.fetchrow(
            """
            SELECT lower(during) AS starts_at, upper(during) AS ends_at FROM booking
            WHERE lane = $1 AND state IN ('held', 'confirmed', 'checked-in', 'in-use')
              AND during && tstzrange(least($2::timestamptz, $3), greatest($2, $3::timestamptz))
            ORDER BY during LIMIT 1
            """,
            asked.lane,
            asked.starts_at,
            asked.ends_at,
        )
    return ClosingCase(
        None if lane is None else lane.time_zone,
        None if met is None else Span(met["starts_at"], met["ends_at"]),
        frozenset(row["closure"] for row in rows),
        await load_staff(connection),
    )


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
               (SELECT weapon_class FROM known_weapon_type WHERE weapon_type = $2) AS weapon_class,
               (SELECT calibre FROM known_calibre WHERE weapon_type = $2) AS calibre
        """,
        asked.booking,
        asked.weapon_type,
    )
    assert row is not None
    return Wish(
        row["taken"],
        lane,
        row["weapon_class"],
        await load_clash(connection, asked, asked.booking, lane),
        await load_staff(connection),
        await load_not_entitled(connection, asked),
        row["calibre"],
    )


async def load_not_entitled(connection: Connection, asked: BookSession) -> frozenset[UUID]:
    """Who of the participants has no licence, as far as auth has told, for all of that time; no guest brings others."""
    if not asked.participants or asked.ends_at <= asked.starts_at:
        return frozenset()
    rows = await connection.fetch(
        """
        SELECT p.person
        FROM unnest($1::uuid[]) AS p (person)
        WHERE NOT coalesce((
            SELECT range_agg(e.during) @> tstzrange($3, $4) FROM known_entitlement AS e
            WHERE e.person = p.person AND e.weapon_class = $2 AND e.supervised_at_most = 0), false)
        """,
        asked.participants,
        asked.weapon_class,
        asked.starts_at,
        asked.ends_at,
    )
    return frozenset(row["person"] for row in rows)


async def load_rescheduling(connection: Connection, asked: RescheduleBooking) -> Rescheduling:
    lane = await lock_lane(connection, asked.lane)
    case = await load_case(connection, asked)
    taken: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM booking WHERE booking = $1)
        """,
        asked.replacement,
    )
    if case.booking is None:
        return Rescheduling(case, Wish(taken, lane, None, None, case.staff))
    terms = case.booking.terms.model_copy(
        update={"lane": asked.lane, "starts_at": asked.starts_at, "ends_at": asked.ends_at}
    )
    return Rescheduling(case, await load_changed(connection, taken, lane, terms, case.staff))


async def load_transfer(connection: Connection, asked: TransferBooking) -> Rescheduling:
    lane = await lock_lane(connection, asked.lane)
    case = await load_case(connection, asked)
    if case.booking is None:
        return Rescheduling(case, Wish(False, lane, None, None, case.staff))  # noqa: FBT003 - nothing is taken
    terms = case.booking.terms.model_copy(update={"lane": asked.lane})
    return Rescheduling(case, await load_changed(connection, False, lane, terms, case.staff))  # noqa: FBT003


async def load_changed(
    connection: Connection,
    taken: bool,  # noqa: FBT001 - as Wish has it
    lane: Lane | None,
    terms: Terms,
    staff: Staff,
) -> Wish:
    """What a booking meets if it gets these terms instead of its own."""
    asked = BookSession(**{name: getattr(terms, name) for name in BookSession.model_fields})
    row = await connection.fetchrow(
        """
        SELECT (SELECT weapon_class FROM known_weapon_type WHERE weapon_type = $1) AS weapon_class,
               (SELECT calibre FROM known_calibre WHERE weapon_type = $1) AS calibre
        """,
        asked.weapon_type,
    )
    assert row is not None
    clash = await load_clash(connection, asked, asked.booking, lane)
    not_entitled = await load_not_entitled(connection, asked)
    return Wish(taken, lane, row["weapon_class"], clash, staff, not_entitled, row["calibre"])


async def load_share(connection: Connection, asked: AddParticipant | RemoveParticipant) -> ShareCase:
    await lock_lane_of(connection, asked.booking)
    case = await load_case(connection, asked)
    if case.booking is None:
        return ShareCase(case, None, None, entitled=False)
    terms = case.booking.terms
    alone = BookSession(
        **{name: getattr(terms, name) for name in BookSession.model_fields if name not in {"person", "participants"}},
        person=asked.participant,
        participants=(asked.participant,),
    )
    lane = await lock_lane(connection, terms.lane)
    clash = await load_clash(connection, alone, asked.booking, lane)
    not_entitled = await load_not_entitled(connection, alone)
    return ShareCase(case, lane, clash, entitled=not not_entitled)


async def lock_lane(connection: Connection, lane: str) -> Lane | None:
    row = await connection.fetchrow(
        """
        SELECT l.lane, l.range, l.discipline, l.weapon_classes, l.capacity, l.calibres, l.most_energy_j,
               r.time_zone, r.slot_minutes, r.hold_seconds, r.no_show_minutes, r.policy,
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
        capacity=row["capacity"],
        calibres=frozenset(row["calibres"]),
        most_energy_j=row["most_energy_j"],
        policy=Policy.model_validate_json(row["policy"]),
    )


async def load_clash(
    connection: Connection,
    asked: BookSession,
    apart_from: UUID,
    lane: Lane | None,
    offered_to: UUID | None = None,
) -> Clash | None:
    """Whatever is in the way of the time asked for, even if that is the wrong way round; the lane's comes first."""
    time = Span(*sorted((asked.starts_at, asked.ends_at)))
    taken = time if lane is None else lane.taken(time)
    row = await connection.fetchrow(
        """
        WITH others AS (
            SELECT b.lane, b.during, false AS closed
            FROM booking AS b
            WHERE b.state IN ('held', 'confirmed', 'checked-in', 'in-use') AND b.lane = $1 AND b.booking <> $5
              AND b.taken && tstzrange($6, $7)
            UNION ALL
            SELECT w.offered_lane, w.offered_taken, false
            FROM waitlist_entry AS w
            WHERE w.state = 'offered' AND w.offered_lane = $1 AND w.offered_taken && tstzrange($6, $7)
              AND w.entry IS DISTINCT FROM $8
            UNION ALL
            SELECT c.lane, c.during, true
            FROM closure AS c
            WHERE c.lane = $1 AND c.during && tstzrange($3, $4)
            UNION ALL
            SELECT b.lane, s.during, false
            FROM shooter_time AS s JOIN booking AS b USING (booking)
            WHERE s.person = ANY ($2::uuid[]) AND s.booking <> $5 AND s.during && tstzrange($3, $4)
        )
        SELECT lane, lower(during) AS starts_at, upper(during) AS ends_at, closed
        FROM others
        ORDER BY lane = $1 DESC, during
        LIMIT 1
        """,
        asked.lane,
        [asked.person, *asked.participants],
        time.starts_at,
        time.ends_at,
        apart_from,
        taken.starts_at,
        taken.ends_at,
        offered_to,
    )
    return None if row is None else Clash(row["lane"], Span(row["starts_at"], row["ends_at"]), row["closed"])


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
    return await find_booking(connection, asked.booking)


async def load_confirming(connection: Connection, asked: AboutBooking) -> Booking | None:
    """The booking that it replaces is locked before it, so that nobody calls that off meanwhile."""
    await connection.execute(
        """
        SELECT FROM booking WHERE booking = (SELECT b.replaces FROM booking AS b WHERE b.booking = $1)
        FOR NO KEY UPDATE
        """,
        asked.booking,
    )
    return await find_booking(connection, asked.booking)


async def find_booking(connection: Connection, booking: UUID) -> Booking | None:
    """A booking, locked."""
    row = await connection.fetchrow(
        """
        SELECT b.booking, b.command, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.weapon_class,
               b.weapon_type, b.rounds, b.replaces, b.participants, b.calibre, b.energy_j, b.state,
               b.held_until, b.no_show_at, b.claim,
               b.entitlement_lost_at,
               b.total_minor, b.currency, r.time_zone, r.early_check_in_minutes, r.policy,
               EXISTS (SELECT FROM booking AS n WHERE n.replaces = b.booking AND n.state = 'held') AS being_replaced,
               EXISTS (SELECT FROM booking AS o WHERE o.booking = b.replaces AND o.state = 'confirmed')
                   AS replaced_stands,
               ARRAY(SELECT a.service FROM known_agreement AS a WHERE a.booking = b.booking) AS agreed,
               EXISTS (SELECT FROM known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL)
                   AS weapon_out
        FROM booking AS b JOIN range AS r USING (range)
        WHERE b.booking = $1
        FOR NO KEY UPDATE OF b
        """,
        booking,
    )
    return None if row is None else _booking(row)


async def load_active(connection: Connection, published: EntitlementsPublished) -> list[Booking]:
    """A person's active bookings: those that depend on what the person may shoot."""
    rows = await connection.fetch(
        """
        SELECT booking FROM booking
        WHERE person = $1 AND state IN ('held', 'confirmed', 'checked-in', 'in-use')
        ORDER BY booking
        """,
        published.person,
    )
    found = [await find_booking(connection, row["booking"]) for row in rows]
    return [one for one in found if one is not None]


def _booking(row: Record) -> Booking:
    return Booking(
        terms=Terms(**{**{name: row[name] for name in Terms.model_fields}, "participants": tuple(row["participants"])}),
        state=State(row["state"]),
        held_until=row["held_until"],
        no_show_at=row["no_show_at"],
        agreed=frozenset(row["agreed"]),
        weapon_out=row["weapon_out"],
        time_zone=row["time_zone"],
        early_check_in=timedelta(minutes=row["early_check_in_minutes"]),
        entitlement_lost=row["entitlement_lost_at"] is not None,
        claim=row["claim"],
        being_replaced=row["being_replaced"],
        replaced_stands=row["replaced_stands"],
        total_minor=row["total_minor"],
        currency=row["currency"],
        policy=Policy.model_validate_json(row["policy"]),
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
        SELECT o.lane, lower(o.during) AS starts_at,
               upper(CASE WHEN o.lane = b.lane THEN o.taken ELSE o.during END) AS ends_at
        FROM booking AS b
        JOIN booking AS o ON o.booking <> b.booking AND (o.lane = b.lane OR o.person = b.person)
        WHERE b.booking = $1 AND o.state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND o.during && tstzrange(NULL, b.starts_at)
        ORDER BY ends_at DESC
        LIMIT 1
        """,
        booking,
    )
    return None if row is None else _clash(row)


def _clash(row: Record) -> Clash:
    return Clash(row["lane"], Span(row["starts_at"], row["ends_at"]))
