"""When fire ceased on which lanes. Shots are marked where they are shown, whatever was heard first."""

from __future__ import annotations

from bus.connection import Connection
from handlers.booking.events import CeaseFireOrdered, FireResumed


async def cease_fire_ordered(connection: Connection, ordered: CeaseFireOrdered) -> None:
    await connection.execute(
        """
        INSERT INTO cease_fire (cease_fire, lane, ordered_at)
        SELECT $1, lane, $3 FROM unnest($2::text[]) AS lane
        """,
        ordered.cease_fire,
        ordered.lanes,
        ordered.ordered_at,
    )


async def fire_resumed(connection: Connection, resumed: FireResumed) -> None:
    await connection.execute(
        """
        UPDATE cease_fire SET resumed_at = $2 WHERE cease_fire = $1
        """,
        resumed.cease_fire,
        resumed.resumed_at,
    )
