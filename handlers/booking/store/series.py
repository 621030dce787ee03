"""What is loaded for booking a series, and for calling it off."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bus.connection import Connection
from handlers.booking.commands import BookSeries, CancelSeries
from handlers.booking.model.series import MOST_BOOKINGS, Occurrence, SeriesCancelCase, SeriesCase, asked_of, occurrences
from handlers.booking.model.states import Lane, Wish
from handlers.booking.store.loads import find_booking, load_clash, load_staff, lock_lane


async def load_series(connection: Connection, asked: BookSeries) -> SeriesCase:
    """Locks the lanes in order; a series that is too long is not looked at further."""
    lanes: dict[str, Lane | None] = {}
    for lane in sorted(set(asked.lanes)):
        lanes[lane] = await lock_lane(connection, lane)
    staff = await load_staff(connection)
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM booking WHERE series = $1) AS taken,
               (SELECT weapon_class FROM known_weapon_type WHERE weapon_type = $2) AS weapon_class,
               (SELECT calibre FROM known_calibre WHERE weapon_type = $2) AS calibre
        """,
        asked.series,
        asked.weapon_type,
    )
    assert row is not None
    first = lanes[asked.lanes[0]]
    if first is None or len(lanes) * asked.weeks > MOST_BOOKINGS:
        return SeriesCase(row["taken"], None if first is None else first.time_zone, {}, staff)
    wishes: dict[Occurrence, Wish] = {}
    for one in occurrences(asked, ZoneInfo(first.time_zone)):
        wished, lane_row = asked_of(asked, one), lanes[one.lane]
        clash = await load_clash(connection, wished, wished.booking, lane_row)
        wishes[one] = Wish(
            taken=False,
            lane=lane_row,
            weapon_class=row["weapon_class"],
            clash=clash,
            staff=staff,
            calibre=row["calibre"],
        )
    return SeriesCase(row["taken"], first.time_zone, wishes, staff)


async def load_series_to_cancel(connection: Connection, asked: CancelSeries) -> SeriesCancelCase:
    rows = await connection.fetch(
        """
        SELECT booking FROM booking WHERE series = $1 ORDER BY booking
        """,
        asked.series,
    )
    found = [await find_booking(connection, row["booking"]) for row in rows]
    in_order = sorted((one for one in found if one is not None), key=lambda one: (one.terms.starts_at, one.terms.lane))
    return SeriesCancelCase(in_order, await load_staff(connection))
