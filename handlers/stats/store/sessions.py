"""Sessions, and the lanes that are held while shots and sessions are brought together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from handlers.booking.events import SessionFinished, SessionStarted
from handlers.stats.model.attribution import Session


async def know_lanes(connection: Connection, lanes: Sequence[str]) -> None:
    await connection.execute(
        "INSERT INTO lane (lane) SELECT l FROM unnest($1::text[]) AS l ORDER BY l ON CONFLICT DO NOTHING", lanes
    )


async def share_lanes(connection: Connection, lanes: Sequence[str]) -> None:
    """Hold lanes so that no session's bounds move on them; others may add shots as well."""
    await know_lanes(connection, lanes)
    await connection.execute("SELECT FROM lane WHERE lane = ANY ($1) ORDER BY lane FOR SHARE", lanes)


async def hold_lane(connection: Connection, lane: str) -> None:
    """Hold a lane alone: nobody adds shots to it meanwhile."""
    await know_lanes(connection, [lane])
    await connection.execute("SELECT FROM lane WHERE lane = $1 FOR UPDATE", lane)


async def sessions_between(
    connection: Connection, lanes: Sequence[str], first: datetime, last: datetime | None
) -> list[Session]:
    """The sessions of these lanes that have some time in common with [first, last], or with all after first."""
    rows = await connection.fetch(
        """
        SELECT session, person, lane, discipline, started_at, finished_at FROM session
        WHERE lane = ANY ($1) AND during && tstzrange($2, $3, '[]')
        """,
        lanes,
        first,
        last,
    )
    return [Session(**row) for row in rows]


async def sessions_of(connection: Connection, sessions: Sequence[UUID]) -> list[Session]:
    """These sessions, as far as they are known."""
    rows = await connection.fetch(
        "SELECT session, person, lane, discipline, started_at, finished_at FROM session WHERE session = ANY ($1)",
        sessions,
    )
    return [Session(**row) for row in rows]


async def insert_session(connection: Connection, started: SessionStarted) -> None:
    await connection.execute(
        "INSERT INTO session (session, person, lane, discipline, started_at) VALUES ($1, $2, $3, $4, $5)",
        started.booking,
        started.person,
        started.lane,
        started.discipline,
        started.started_at,
    )


async def end_session(connection: Connection, finished: SessionFinished) -> None:
    """A clock set back between start and finish leaves a session without time, and no more than that."""
    await connection.execute(
        "UPDATE session SET finished_at = greatest(started_at, $2) WHERE session = $1",
        finished.booking,
        finished.finished_at,
    )
