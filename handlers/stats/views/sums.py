"""What each session's match shots add up to, as the gateway reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.connection import Connection


@dataclass(frozen=True, slots=True)
class SessionSums:
    """A session's sums: scores in tenths of a ring, moments in seconds since 2000."""

    session: UUID
    discipline: str
    started_at: datetime
    finished_at: datetime | None
    shots: int
    sighters: int
    misses: int
    score_tenths: int
    scored: int
    sum_squared_tenths: int
    sum_s: int
    sum_ss: int
    sum_s_tenths: int

    @property
    def match_shots(self) -> int:
        return self.shots + self.misses


async def sums_of(
    connection: Connection,
    *,
    limit: int,
    session: UUID | None = None,
    person: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[SessionSums]:
    """The last sessions for which all that is given holds, the latest first."""
    rows = await connection.fetch(
        """
        SELECT session, discipline, started_at, finished_at, shots, sighters, misses, score_tenths, scored,
               sum_squared_tenths, sum_s, sum_ss, sum_s_tenths
        FROM stats.session_sums
        WHERE ($1::uuid IS NULL OR session = $1) AND ($2::uuid IS NULL OR person = $2)
          AND ($3::timestamptz IS NULL OR started_at >= $3) AND ($4::timestamptz IS NULL OR started_at < $4)
        ORDER BY started_at DESC, session LIMIT $5
        """,
        session,
        person,
        since,
        until,
        limit,
    )
    return [SessionSums(*row[:10], *map(int, row[10:])) for row in rows]
