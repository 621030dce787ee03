"""What the armory keeps of others' events: tombstones of closed bookings, who has checked in, who may shoot what."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.auth.events import EntitlementsPublished
from handlers.booking.events import (
    BookingCancelled,
    BookingRejected,
    NoShowReleased,
    SessionFinished,
    ShooterCheckedIn,
)


async def shooter_checked_in(connection: Connection, event: ShooterCheckedIn) -> None:
    await connection.execute(
        """
        INSERT INTO known_booking (booking, checked_in_at) VALUES ($1, $2)
        ON CONFLICT (booking) DO UPDATE SET checked_in_at = excluded.checked_in_at
        """,
        event.booking,
        event.checked_in_at,
    )


async def booking_rejected(connection: Connection, event: BookingRejected) -> None:
    await close_booking(connection, event.booking, "rejected")


async def booking_cancelled(connection: Connection, event: BookingCancelled) -> None:
    await close_booking(connection, event.booking, "cancelled")


async def no_show_released(connection: Connection, event: NoShowReleased) -> None:
    await close_booking(connection, event.booking, "no-show")


async def session_finished(connection: Connection, event: SessionFinished) -> None:
    await close_booking(connection, event.booking, "finished")


async def close_booking(connection: Connection, booking: UUID, how: str) -> None:
    """Notes that a booking has ended, even one that was never heard of."""
    await connection.execute(
        """
        INSERT INTO known_booking (booking, closed) VALUES ($1, $2)
        ON CONFLICT (booking) DO UPDATE SET closed = excluded.closed
        """,
        booking,
        how,
    )


async def entitlements_published(connection: Connection, event: EntitlementsPublished) -> None:
    """They replace what was published of the person before; an entitlement to no time at all is none."""
    await connection.execute(
        """
        DELETE FROM known_entitlement WHERE person = $1
        """,
        event.person,
    )
    await connection.execute(
        """
        INSERT INTO known_entitlement (person, weapon_class, during)
        SELECT DISTINCT $1::uuid, e.weapon_class, tstzrange(e.valid_from, e.valid_until)
        FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS e (weapon_class, valid_from, valid_until)
        WHERE e.valid_from < e.valid_until
        """,
        event.person,
        [entitlement.weapon_class for entitlement in event.entitlements],
        [entitlement.valid_from for entitlement in event.entitlements],
        [entitlement.valid_until for entitlement in event.entitlements],
    )
