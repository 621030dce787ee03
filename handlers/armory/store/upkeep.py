"""What quarantine, service and the end of a day write to the armory's tables."""

from __future__ import annotations

from bus.connection import Connection
from handlers.armory.events import (
    DayClosed,
    ServiceIntervalSet,
    WeaponQuarantined,
    WeaponReleased,
    WeaponServiced,
)


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
        UPDATE weapon_type SET service_after_rounds = $2 WHERE weapon_type = $1
        """,
        event.weapon_type,
        event.rounds,
    )


async def weapon_serviced(connection: Connection, event: WeaponServiced) -> None:
    await enter_service(connection, event)
    await reset_rounds(connection, event)


async def enter_service(connection: Connection, event: WeaponServiced) -> None:
    await connection.execute(
        """
        INSERT INTO service (weapon, number, work, rounds_fired, rounds_since_service, serviced_by, serviced_at)
        SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6 FROM service WHERE weapon = $1
        """,
        event.weapon,
        event.work,
        event.rounds_fired,
        event.rounds_since_service,
        event.serviced_by,
        event.serviced_at,
    )


async def reset_rounds(connection: Connection, event: WeaponServiced) -> None:
    await connection.execute(
        """
        UPDATE weapon SET rounds_since_service = 0 WHERE weapon = $1
        """,
        event.weapon,
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
