"""What booking's own events write to its tables."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.booking.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingTransferred,
    CeaseFireOrdered,
    EntitlementLost,
    FireResumed,
    LaneClosed,
    LaneHeld,
    LaneOpened,
    LaneReopened,
    NoShowReleased,
    ParticipantAdded,
    ParticipantRemoved,
    RangeSetUp,
    SessionFinished,
    SessionStarted,
    ShooterCheckedIn,
)


async def range_set_up(connection: Connection, event: RangeSetUp) -> None:
    await put_range(connection, event)
    await drop_opening_hours(connection, event)
    await put_opening_hours(connection, event)


async def put_range(connection: Connection, event: RangeSetUp) -> None:
    await connection.execute(
        """
        INSERT INTO range (range, title, time_zone, slot_minutes, hold_seconds, early_check_in_minutes,
                           no_show_minutes, policy)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (range) DO UPDATE
        SET title = excluded.title, time_zone = excluded.time_zone, slot_minutes = excluded.slot_minutes,
            hold_seconds = excluded.hold_seconds, early_check_in_minutes = excluded.early_check_in_minutes,
            no_show_minutes = excluded.no_show_minutes, policy = excluded.policy
        """,
        event.range,
        event.title,
        event.time_zone,
        event.slot_minutes,
        event.hold_seconds,
        event.early_check_in_minutes,
        event.no_show_minutes,
        event.policy.model_dump_json(exclude_defaults=True),
    )


async def drop_opening_hours(connection: Connection, event: RangeSetUp) -> None:
    await connection.execute(
        """
        DELETE FROM opening_hours WHERE range = $1
        """,
        event.range,
    )


async def put_opening_hours(connection: Connection, event: RangeSetUp) -> None:
    await connection.execute(
        """
        INSERT INTO opening_hours (range, weekday, opens_minute, closes_minute)
        SELECT $1, h.weekday, h.opens_minute, h.closes_minute
        FROM unnest($2::smallint[], $3::integer[], $4::integer[]) AS h (weekday, opens_minute, closes_minute)
        """,
        event.range,
        [span.weekday for span in event.opening_hours],
        [span.opens_minute for span in event.opening_hours],
        [span.closes_minute for span in event.opening_hours],
    )


async def lane_opened(connection: Connection, event: LaneOpened) -> None:
    await connection.execute(
        """
        INSERT INTO lane (lane, range, distance_m, discipline, weapon_classes, target_address, capacity,
                          calibres, most_energy_j)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (lane) DO UPDATE
        SET distance_m = excluded.distance_m, discipline = excluded.discipline,
            weapon_classes = excluded.weapon_classes, target_address = excluded.target_address,
            capacity = excluded.capacity, calibres = excluded.calibres, most_energy_j = excluded.most_energy_j
        """,
        event.lane,
        event.range,
        event.distance_m,
        event.discipline,
        event.weapon_classes,
        event.target_address,
        event.capacity,
        event.calibres,
        event.most_energy_j,
    )


async def lane_closed(connection: Connection, event: LaneClosed) -> None:
    await connection.execute(
        """
        INSERT INTO closure (closure, lane, during, reason) VALUES ($1, $2, tstzrange($3, $4), $5)
        """,
        event.closure,
        event.lane,
        event.starts_at,
        event.ends_at,
        event.reason,
    )


async def lane_reopened(connection: Connection, event: LaneReopened) -> None:
    await connection.execute(
        """
        DELETE FROM closure WHERE closure = $1
        """,
        event.closure,
    )


async def cease_fire_ordered(connection: Connection, event: CeaseFireOrdered) -> None:
    await connection.execute(
        """
        INSERT INTO cease_fire (cease_fire, range, reason, ordered_by, ordered_at) VALUES ($1, $2, $3, $4, $5)
        """,
        event.cease_fire,
        event.range,
        event.reason,
        event.ordered_by,
        event.ordered_at,
    )


async def fire_resumed(connection: Connection, event: FireResumed) -> None:
    await connection.execute(
        """
        UPDATE cease_fire SET resumed_by = $2, resumed_at = $3 WHERE cease_fire = $1
        """,
        event.cease_fire,
        event.resumed_by,
        event.resumed_at,
    )


async def lane_held(connection: Connection, event: LaneHeld) -> None:
    await put_booking(connection, event)
    await put_shooters(connection, event)


async def put_shooters(connection: Connection, event: LaneHeld) -> None:
    terms = event.terms
    await connection.execute(
        """
        INSERT INTO shooter_time (booking, person, during, claim)
        SELECT $1, person, tstzrange($3, $4), $5 FROM unnest($2::uuid[]) AS person
        """,
        event.booking,
        [terms.person, *terms.participants],
        terms.starts_at,
        terms.ends_at,
        event.claim or event.booking,
    )


async def put_booking(connection: Connection, event: LaneHeld) -> None:
    terms = event.terms
    await connection.execute(
        """
        INSERT INTO booking (booking, command, person, range, lane, discipline, starts_at, ends_at, during,
                             weapon_class, weapon_type, rounds, state, held_until, no_show_at, claim, replaces,
                             participants, calibre, energy_j, taken, series)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, tstzrange($7, $8), $9, $10, $11, 'held', $12, $13, $14, $15, $16, $17,
                $18, tstzrange($19, $20), $21)
        """,
        event.booking,
        terms.command,
        terms.person,
        terms.range,
        terms.lane,
        terms.discipline,
        terms.starts_at,
        terms.ends_at,
        terms.weapon_class,
        terms.weapon_type,
        terms.rounds,
        event.held_until,
        event.no_show_at,
        event.claim or event.booking,
        terms.replaces,
        terms.participants,
        terms.calibre,
        terms.energy_j,
        event.taken_from or terms.starts_at,
        event.taken_until or terms.ends_at,
        event.series,
    )


async def booking_confirmed(connection: Connection, event: BookingConfirmed) -> None:
    await connection.execute(
        """
        UPDATE booking SET state = 'confirmed', invoice = $2, total_minor = $3, currency = $4 WHERE booking = $1
        """,
        event.booking,
        event.invoice,
        event.total_minor,
        event.currency,
    )


async def free_shooters(connection: Connection, booking: UUID) -> None:
    """Whose booking is over is in nobody's way."""
    await connection.execute(
        """
        DELETE FROM shooter_time WHERE booking = $1
        """,
        booking,
    )


async def booking_rejected(connection: Connection, event: BookingRejected) -> None:
    await free_shooters(connection, event.booking)
    await connection.execute(
        """
        UPDATE booking SET state = 'rejected', refused_by = $2, rule = $3, rule_version = $4, reason = $5
        WHERE booking = $1
        """,
        event.booking,
        event.refused_by,
        event.rule,
        event.rule_version,
        event.reason,
    )


async def booking_cancelled(connection: Connection, event: BookingCancelled) -> None:
    await free_shooters(connection, event.booking)
    await connection.execute(
        """
        UPDATE booking
        SET state = 'cancelled', refused_by = CASE WHEN $2::text IS NOT NULL THEN 'auth' END,
            rule = $2, rule_version = $3, reason = $4, replaced_by = $5
        WHERE booking = $1
        """,
        event.booking,
        event.rule,
        event.rule_version,
        event.reason,
        event.replaced_by,
    )


async def entitlement_lost(connection: Connection, event: EntitlementLost) -> None:
    await connection.execute(
        """
        UPDATE booking SET entitlement_lost_at = $2 WHERE booking = $1
        """,
        event.booking,
        event.lost_at,
    )


async def participant_added(connection: Connection, event: ParticipantAdded) -> None:
    await connection.execute(
        """
        WITH changed AS (
            UPDATE booking SET participants = array_append(participants, $2) WHERE booking = $1
            RETURNING booking, during, claim
        )
        INSERT INTO shooter_time (booking, person, during, claim) SELECT booking, $2, during, claim FROM changed
        """,
        event.booking,
        event.participant,
    )


async def participant_removed(connection: Connection, event: ParticipantRemoved) -> None:
    await connection.execute(
        """
        WITH changed AS (
            UPDATE booking SET participants = array_remove(participants, $2) WHERE booking = $1 RETURNING booking
        )
        DELETE FROM shooter_time AS s USING changed AS c WHERE s.booking = c.booking AND s.person = $2
        """,
        event.booking,
        event.participant,
    )


async def booking_transferred(connection: Connection, event: BookingTransferred) -> None:
    await connection.execute(
        """
        UPDATE booking SET lane = $2 WHERE booking = $1
        """,
        event.booking,
        event.lane,
    )


async def no_show_released(connection: Connection, event: NoShowReleased) -> None:
    await free_shooters(connection, event.booking)
    await connection.execute(
        """
        UPDATE booking SET state = 'no-show' WHERE booking = $1
        """,
        event.booking,
    )


async def shooter_checked_in(connection: Connection, event: ShooterCheckedIn) -> None:
    await connection.execute(
        """
        UPDATE booking SET state = 'checked-in', checked_in_at = $2 WHERE booking = $1
        """,
        event.booking,
        event.checked_in_at,
    )


async def session_started(connection: Connection, event: SessionStarted) -> None:
    """A session that begins early takes its lane from then on."""
    await connection.execute(
        """
        WITH begun AS (
            UPDATE booking
            SET state = 'in-use', started_at = $2, during = tstzrange(least(lower(during), $2), upper(during)),
                taken = tstzrange(least(lower(taken), $2), upper(taken))
            WHERE booking = $1
            RETURNING booking, during
        )
        UPDATE shooter_time AS s SET during = b.during FROM begun AS b WHERE s.booking = b.booking
        """,
        event.booking,
        event.started_at,
    )


async def session_finished(connection: Connection, event: SessionFinished) -> None:
    await free_shooters(connection, event.booking)
    await connection.execute(
        """
        UPDATE booking SET state = 'finished', finished_at = $2 WHERE booking = $1
        """,
        event.booking,
        event.finished_at,
    )
