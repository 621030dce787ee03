"""What payment keeps of booking's events: tombstones of closed bookings."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.booking.events import BookingCancelled, BookingRejected, NoShowReleased


async def booking_rejected(connection: Connection, event: BookingRejected) -> None:
    await close_booking(connection, event.booking, "rejected")


async def booking_cancelled(connection: Connection, event: BookingCancelled) -> None:
    await close_booking(connection, event.booking, "cancelled")


async def no_show_released(connection: Connection, event: NoShowReleased) -> None:
    await close_booking(connection, event.booking, "no-show")


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
