"""The waiting list's table: what is loaded for a decision, and what each event writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.booking.commands import AcceptOffer, BookSession, ExpireEntry, JoinWaitlist, LeaveWaitlist
from handlers.booking.events import (
    LaneReopened,
    Policy,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOfferAccepted,
    WaitlistOffered,
)
from handlers.booking.model.hours import Span
from handlers.booking.model.states import Wish
from handlers.booking.model.waitlist import Candidate, Entry, EntryCase, Joining, Waiting
from handlers.booking.store.loads import (
    AboutBooking,
    load_clash,
    load_staff,
    lock_lane,
)

IN_LINE_AT_ONCE = 50


class AboutEntry(Protocol):
    """A message about one entry."""

    @property
    def entry(self) -> UUID: ...


async def load_joining(connection: Connection, asked: JoinWaitlist) -> Joining:
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM waitlist_entry WHERE entry = $1) AS taken,
               (SELECT time_zone FROM range WHERE range = $2) AS time_zone,
               (SELECT policy FROM range WHERE range = $2) AS policy,
               (SELECT count(*) FROM lane
                WHERE range = $2 AND discipline = $3 AND $4 = ANY (weapon_classes)
                  AND ($5::text IS NULL OR lane = $5)) AS lanes,
               EXISTS (SELECT FROM waitlist_entry
                       WHERE person = $6 AND state IN ('waiting', 'offered')
                         AND tstzrange(starts_at, ends_at)
                             && tstzrange(least($7::timestamptz, $8), greatest($7, $8::timestamptz))) AS overlapping,
               (SELECT count(*) FROM waitlist_entry
                WHERE person = $6 AND state IN ('waiting', 'offered')) AS entries
        """,
        asked.entry,
        asked.range,
        asked.discipline,
        asked.weapon_class,
        asked.lane,
        asked.person,
        asked.starts_at,
        asked.ends_at,
    )
    assert row is not None
    policy = Policy() if row["policy"] is None else Policy.model_validate_json(row["policy"])
    return Joining(
        taken=row["taken"],
        time_zone=row["time_zone"],
        horizon=timedelta(days=policy.horizon_days),
        lanes=row["lanes"],
        overlapping=row["overlapping"],
        entries=row["entries"],
        staff=await load_staff(connection),
    )


async def load_entry(connection: Connection, asked: LeaveWaitlist | ExpireEntry) -> EntryCase:
    return EntryCase(await find_entry(connection, asked.entry), None, await load_staff(connection))


async def find_entry(connection: Connection, entry: UUID) -> Entry | None:
    row = await connection.fetchrow(
        """
        SELECT w.entry, w.person, w.state, w.offered_lane AS lane, w.starts_at, w.ends_at, w.weapon_class,
               w.weapon_type, w.rounds, w.calibre, w.energy_j, w.offered_until, r.time_zone
        FROM waitlist_entry AS w JOIN range AS r USING (range)
        WHERE w.entry = $1
        FOR NO KEY UPDATE OF w
        """,
        entry,
    )
    return None if row is None else Entry(**{**row, "state": Waiting(row["state"])})


async def load_acceptance(connection: Connection, asked: AcceptOffer) -> EntryCase:
    """Holds the lane that is offered, as every booking of it does."""
    offered: str | None = await connection.fetchval(
        """
        SELECT offered_lane FROM waitlist_entry WHERE entry = $1
        """,
        asked.entry,
    )
    lane = None if offered is None else await lock_lane(connection, offered)
    entry, staff = await find_entry(connection, asked.entry), await load_staff(connection)
    if entry is None or lane is None or entry.lane != offered:
        return EntryCase(entry, None, staff)
    wished = BookSession(
        booking=asked.booking,
        person=entry.person,
        lane=lane.lane,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        weapon_class=entry.weapon_class,
        weapon_type=entry.weapon_type,
    )
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM booking WHERE booking = $1) AS taken,
               (SELECT weapon_class FROM known_weapon_type WHERE weapon_type = $2) AS weapon_class,
               (SELECT calibre FROM known_calibre WHERE weapon_type = $2) AS calibre
        """,
        asked.booking,
        entry.weapon_type,
    )
    assert row is not None
    clash = await load_clash(connection, wished, asked.booking, lane, entry.entry)
    wish = Wish(row["taken"], lane, row["weapon_class"], clash, staff, calibre=row["calibre"])
    return EntryCase(entry, wish, staff)


async def load_line_after_booking(connection: Connection, freed: AboutBooking) -> list[Candidate]:
    return await load_line(
        connection,
        await connection.fetchrow(
            """
            SELECT range, discipline, starts_at, ends_at FROM booking WHERE booking = $1
            """,
            freed.booking,
        ),
    )


async def load_line_after_entry(connection: Connection, freed: AboutEntry) -> list[Candidate]:
    return await load_line(
        connection,
        await connection.fetchrow(
            """
            SELECT range, discipline, starts_at, ends_at FROM waitlist_entry WHERE entry = $1
            """,
            freed.entry,
        ),
    )


async def load_line_after_closure(connection: Connection, freed: LaneReopened) -> list[Candidate]:
    return await load_line(
        connection,
        await connection.fetchrow(
            """
            SELECT range, discipline, '-infinity'::timestamptz AS starts_at, 'infinity'::timestamptz AS ends_at
            FROM lane WHERE lane = $1
            """,
            freed.lane,
        ),
    )


async def load_line(connection: Connection, came_free: Record | None) -> list[Candidate]:
    """Who waits for that time, first come first, with the lanes that are free for each; those lanes are held."""
    if came_free is None or not await is_waited_for(connection, came_free):
        return []
    await hold_lanes(connection, came_free["range"], came_free["discipline"])
    rows = await connection.fetch(
        """
        SELECT w.entry, w.person, w.starts_at, w.ends_at, p.taken_from, p.taken_until, p.notice, p.offer,
               array(
                   SELECT l.lane FROM lane AS l
                   WHERE l.range = w.range AND l.discipline = w.discipline AND w.weapon_class = ANY (l.weapon_classes)
                     AND (w.lane IS NULL OR l.lane = w.lane)
                     AND NOT EXISTS (
                         SELECT FROM booking AS b
                         WHERE b.lane = l.lane AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use')
                           AND b.taken && tstzrange(p.taken_from, p.taken_until))
                     AND NOT EXISTS (
                         SELECT FROM closure AS c
                         WHERE c.lane = l.lane AND c.during && tstzrange(w.starts_at, w.ends_at))
                     AND NOT EXISTS (
                         SELECT FROM waitlist_entry AS o
                         WHERE o.state = 'offered' AND o.offered_lane = l.lane
                           AND o.offered_taken && tstzrange(p.taken_from, p.taken_until))
                   ORDER BY l.lane) AS lanes
        FROM waitlist_entry AS w
        JOIN range AS r USING (range)
        CROSS JOIN LATERAL (
            SELECT w.starts_at - make_interval(mins => coalesce((r.policy ->> 'buffer_before_minutes')::integer, 0))
                       AS taken_from,
                   w.ends_at + make_interval(mins => coalesce((r.policy ->> 'buffer_after_minutes')::integer, 0))
                       AS taken_until,
                   make_interval(mins => coalesce((r.policy ->> 'minimum_notice_minutes')::integer, 0)) AS notice,
                   make_interval(mins => coalesce((r.policy ->> 'waitlist_offer_minutes')::integer, $5)) AS offer
        ) AS p
        WHERE w.range = $1 AND w.discipline = $2 AND w.state = 'waiting'
          AND tstzrange(p.taken_from, p.taken_until) && tstzrange($3, $4)
          AND NOT EXISTS (
              SELECT FROM shooter_time AS s
              WHERE s.person = w.person AND s.during && tstzrange(w.starts_at, w.ends_at))
        ORDER BY w.joined_at, w.entry
        LIMIT $6
        """,
        came_free["range"],
        came_free["discipline"],
        came_free["starts_at"],
        came_free["ends_at"],
        Policy().waitlist_offer_minutes,
        IN_LINE_AT_ONCE,
    )
    return [
        Candidate(
            entry=row["entry"],
            person=row["person"],
            during=Span(row["starts_at"], row["ends_at"]),
            taken=Span(row["taken_from"], row["taken_until"]),
            lanes=tuple(row["lanes"]),
            notice=row["notice"],
            offer=row["offer"],
        )
        for row in rows
    ]


async def is_waited_for(connection: Connection, came_free: Record) -> bool:
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM waitlist_entry WHERE range = $1 AND discipline = $2 AND state = 'waiting')
        """,
        came_free["range"],
        came_free["discipline"],
    )
    return found


async def hold_lanes(connection: Connection, range_: str, discipline: str) -> None:
    await connection.execute(
        """
        SELECT FROM lane WHERE range = $1 AND discipline = $2 ORDER BY lane FOR NO KEY UPDATE
        """,
        range_,
        discipline,
    )


async def waitlist_joined(connection: Connection, event: WaitlistJoined) -> None:
    await connection.execute(
        """
        INSERT INTO waitlist_entry (entry, person, range, discipline, lane, starts_at, ends_at, weapon_class,
                                    weapon_type, rounds, calibre, energy_j, joined_at, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'waiting')
        """,
        event.entry,
        event.person,
        event.range,
        event.discipline,
        event.lane,
        event.starts_at,
        event.ends_at,
        event.weapon_class,
        event.weapon_type,
        event.rounds,
        event.calibre,
        event.energy_j,
        event.joined_at,
    )


async def waitlist_offered(connection: Connection, event: WaitlistOffered) -> None:
    await connection.execute(
        """
        UPDATE waitlist_entry
        SET state = 'offered', offered_lane = $2, offered_taken = tstzrange($3, $4), offered_until = $5
        WHERE entry = $1
        """,
        event.entry,
        event.lane,
        event.taken_from,
        event.taken_until,
        event.offered_until,
    )


async def waitlist_offer_accepted(connection: Connection, event: WaitlistOfferAccepted) -> None:
    await connection.execute(
        """
        UPDATE waitlist_entry SET state = 'accepted', booking = $2 WHERE entry = $1
        """,
        event.entry,
        event.booking,
    )


async def waitlist_lapsed(connection: Connection, event: WaitlistLapsed) -> None:
    await connection.execute(
        """
        UPDATE waitlist_entry SET state = 'lapsed' WHERE entry = $1
        """,
        event.entry,
    )


async def waitlist_left(connection: Connection, event: WaitlistLeft) -> None:
    await connection.execute(
        """
        UPDATE waitlist_entry SET state = 'left' WHERE entry = $1
        """,
        event.entry,
    )
