"""What quarantine, service and the end of a day write to the armory's tables."""

from __future__ import annotations

from bus.connection import Connection
from handlers.armory.events import (
    DayClosed,
    ServiceFellDue,
    ServiceIntervalSet,
    ServicePlanCancelled,
    ServicePlanned,
    WeaponQuarantined,
    WeaponReleased,
    WeaponServiced,
)
from handlers.booking.events import RangeSetUp


async def weapon_quarantined(connection: Connection, event: WeaponQuarantined) -> None:
    await connection.execute(
        """
        UPDATE weapon SET quarantine = $2 WHERE weapon = $1
        """,
        event.weapon,
        event.reason,
    )


async def weapon_released(connection: Connection, event: WeaponReleased) -> None:
    await connection.execute(
        """
        UPDATE weapon SET quarantine = NULL WHERE weapon = $1
        """,
        event.weapon,
    )


async def service_interval_set(connection: Connection, event: ServiceIntervalSet) -> None:
    await connection.execute(
        """
        UPDATE weapon_type SET service_after_rounds = $2, service_after_days = $3, service_minutes = $4
        WHERE weapon_type = $1
        """,
        event.weapon_type,
        event.rounds,
        event.days,
        event.minutes,
    )
    await connection.execute(
        """
        UPDATE weapon AS w SET service_due_at = d.due_at, overdue = coalesce(d.due_at <= $3, false)
        FROM (
            SELECT weapon, coalesce(service_from, $3::timestamptz) + make_interval(hours => 24 * $2::int) AS due_at
            FROM weapon WHERE weapon_type = $1) AS d
        WHERE d.weapon = w.weapon
        """,
        event.weapon_type,
        event.days,
        event.set_at,
    )


async def weapon_serviced(connection: Connection, event: WeaponServiced) -> None:
    await enter_service(connection, event)
    await reset_rounds(connection, event)


async def enter_service(connection: Connection, event: WeaponServiced) -> None:
    await connection.execute(
        """
        INSERT INTO service (weapon, number, work, rounds_fired, rounds_since_service, serviced_by, serviced_at, barrel,
                             barrel_rounds)
        SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM service WHERE weapon = $1
        """,
        event.weapon,
        event.work,
        event.rounds_fired,
        event.rounds_since_service,
        event.serviced_by,
        event.serviced_at,
        event.barrel,
        event.barrel_rounds,
    )


async def reset_rounds(connection: Connection, event: WeaponServiced) -> None:
    """What was planned is done; a new barrel has fired nothing yet."""
    await connection.execute(
        """
        UPDATE weapon
        SET rounds_since_service = 0, overdue = false, service_from = $2, service_due_at = $3, planned = NULL,
            planned_work = NULL, barrel = barrel + $4::boolean::int,
            barrel_rounds = CASE WHEN $4 THEN 0 ELSE barrel_rounds END
        WHERE weapon = $1
        """,
        event.weapon,
        event.serviced_at,
        event.next_due_at,
        event.work == "rebarrelled",
    )


async def service_planned(connection: Connection, event: ServicePlanned) -> None:
    await connection.execute(
        """
        UPDATE weapon SET planned = tstzrange($2, $3), planned_work = $4 WHERE weapon = $1
        """,
        event.weapon,
        event.starts_at,
        event.ends_at,
        event.work,
    )


async def service_plan_cancelled(connection: Connection, event: ServicePlanCancelled) -> None:
    await connection.execute(
        """
        UPDATE weapon SET planned = NULL, planned_work = NULL WHERE weapon = $1
        """,
        event.weapon,
    )


async def service_fell_due(connection: Connection, event: ServiceFellDue) -> None:
    await connection.execute(
        """
        UPDATE weapon SET overdue = true WHERE weapon = $1
        """,
        event.weapon,
    )


async def range_set_up(connection: Connection, event: RangeSetUp) -> None:
    """A range is open only as its latest hours say."""
    await connection.execute(
        """
        DELETE FROM known_hours WHERE range = $1
        """,
        event.range,
    )
    await connection.execute(
        """
        INSERT INTO known_hours (range, time_zone, weekday, opens_minute, closes_minute)
        SELECT DISTINCT $1, $2, h.weekday, h.opens_minute, h.closes_minute
        FROM unnest($3::int[], $4::int[], $5::int[]) AS h (weekday, opens_minute, closes_minute)
        """,
        event.range,
        event.time_zone,
        [one.weekday for one in event.opening_hours],
        [one.opens_minute for one in event.opening_hours],
        [one.closes_minute for one in event.opening_hours],
    )


async def day_closed(connection: Connection, event: DayClosed) -> None:
    await connection.execute(
        """
        INSERT INTO day_closing (range, closed_at, closed_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
        """,
        event.range,
        event.closed_at,
        event.closed_by,
    )
