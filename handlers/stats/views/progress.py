"""How a shooter comes on."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.stats.statistics import mean_with_interval
from handlers.stats.views.view import View

MOST_SESSIONS: Final = 200


class SessionMean(View):
    """A session's mean score in rings a shot, with its 95 % interval where there are shots enough for one."""

    session: UUID
    started_at: datetime
    shots: int
    mean_score: float
    low: float | None
    high: float | None


class Progress(View):
    """How a shooter's mean score went, session by session."""

    person: UUID
    discipline: str
    sessions: list[SessionMean]


async def progress(connection: Connection, person: UUID, since: datetime, until: datetime, discipline: str) -> Progress:
    """The mean score of each session of a discipline that began within [since, until) and has match shots."""
    rows = await connection.fetch(
        """
        SELECT s.session, s.started_at, count(*) AS shots, avg(t.score_tenths)::float8 / 10 AS mean,
               stddev_samp(t.score_tenths)::float8 / 10 AS deviation
        FROM stats.sessions AS s JOIN stats.shots AS t USING (session)
        WHERE s.person = $1 AND s.started_at >= $2 AND s.started_at < $3 AND s.discipline = $4
          AND t.kind = 'match' AND t.score_tenths IS NOT NULL
        GROUP BY s.session, s.started_at
        ORDER BY s.started_at, s.session LIMIT $5
        """,
        person,
        since,
        until,
        discipline,
        MOST_SESSIONS,
    )
    return Progress(
        person=person,
        discipline=discipline,
        sessions=[_session_mean(row) for row in rows],
    )


def _session_mean(row: Record) -> SessionMean:
    mean = mean_with_interval(row["shots"], row["mean"], row["deviation"])
    return SessionMean(
        session=row["session"],
        started_at=row["started_at"],
        shots=mean.n,
        mean_score=mean.value,
        low=mean.low,
        high=mean.high,
    )
