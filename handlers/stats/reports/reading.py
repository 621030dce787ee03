"""What reports are made of, read from stats' tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.stats.reports.limits import MOST_SESSIONS, MOST_SHOTS
from handlers.stats.reports.order import Unmakeable


@dataclass(frozen=True, slots=True)
class Session:
    """A session and what its match shots add up to. Scores are in tenths of a ring."""

    session: UUID
    person: UUID
    lane: str
    discipline: str
    started_at: datetime
    finished_at: datetime | None
    sighters: int
    misses: int
    hits: int
    score_tenths: int
    integer_score: int
    inner_tens: int
    scored: int  # hits that have a score; none has where no face is known
    deviation: float | None  # of the match shots' scores, in rings
    mean_radius_um: float | None
    extreme_spread_um: float | None

    @property
    def shots(self) -> int:
        return self.hits + self.misses

    @property
    def mean(self) -> float | None:
        """Rings a shot; a miss is a shot of zero rings. None without shots, or without a face to score them by."""
        if not self.shots or self.scored < self.hits:
            return None
        return self.score_tenths / 10 / self.shots


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot of a session. Lengths are in micrometres from the target's centre, x to the right, y upwards."""

    session: UUID
    number: int
    kind: str
    miss: bool
    x_um: int
    y_um: int
    score_tenths: int | None
    inner_ten: bool
    elapsed_ms: int | None
    received_at: datetime
    device: str


async def sessions(
    connection: Connection,
    *,
    session: UUID | None = None,
    person: UUID | None = None,
    discipline: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Session]:
    """The sessions for which all that is given holds, in the order in which they began."""
    rows = await connection.fetch(
        """
        SELECT s.session, s.person, s.lane, s.discipline, s.started_at, s.finished_at,
               coalesce(t.sighters, 0) AS sighters, coalesce(t.misses, 0) AS misses, coalesce(t.shots, 0) AS hits,
               coalesce(t.score_tenths, 0) AS score_tenths, coalesce(t.integer_score, 0) AS integer_score,
               coalesce(t.inner_tens, 0) AS inner_tens, d.scored, d.deviation, r.mean_radius_um, r.extreme_spread_um
        FROM session AS s LEFT JOIN tally AS t USING (session) LEFT JOIN result AS r USING (session)
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE NOT m.miss AND m.score_tenths IS NOT NULL) AS scored,
                   stddev_samp(m.score_tenths)::float8 / 10 AS deviation
            FROM shot AS m WHERE m.session = s.session AND m.kind = 'match'
        ) AS d ON true
        WHERE ($1::uuid IS NULL OR s.session = $1) AND ($2::uuid IS NULL OR s.person = $2)
          AND ($3::text IS NULL OR s.discipline = $3)
          AND ($4::timestamptz IS NULL OR s.started_at >= $4) AND ($5::timestamptz IS NULL OR s.started_at < $5)
        ORDER BY s.started_at, s.session LIMIT $6
        """,
        session,
        person,
        discipline,
        since,
        until,
        MOST_SESSIONS + 1,
    )
    if len(rows) > MOST_SESSIONS:
        raise Unmakeable(f"There are more than {MOST_SESSIONS} sessions in that time: order a shorter one.")
    return [Session(**row) for row in rows]


async def shots(connection: Connection, of: Sequence[Session]) -> list[Shot]:
    """The shots of these sessions, session by session, in the order in which they came."""
    rows = await _shots(connection, [one.session for one in of])
    if len(rows) > MOST_SHOTS:
        raise Unmakeable(f"There are more than {MOST_SHOTS} shots in that time: order a shorter one.")
    return [Shot(**row) for row in rows]


async def _shots(connection: Connection, keys: list[UUID]) -> list[Record]:
    return await connection.fetch(
        """
        SELECT t.session, t.number, t.kind, t.miss, t.x_um, t.y_um, t.score_tenths, t.inner_ten, t.elapsed_ms,
               t.received_at, t.device
        FROM shot AS t JOIN session AS s USING (session) WHERE t.session = ANY ($1)
        ORDER BY s.started_at, t.session, t.received_at, t.device, t.epoch, t.number LIMIT $2
        """,
        keys,
        MOST_SHOTS + 1,
    )


async def ring_counts(connection: Connection, of: Sequence[Session]) -> list[int]:
    """How many match shots hit each ring from 0 (or a miss) to 10; eleven numbers."""
    rows = await connection.fetch(
        """
        SELECT CASE WHEN miss THEN 0 ELSE score_tenths / 10 END AS ring, count(*) AS shots FROM shot
        WHERE session = ANY ($1) AND kind = 'match' AND (miss OR score_tenths IS NOT NULL) GROUP BY 1
        """,
        [one.session for one in of],
    )
    counts: dict[int, int] = {row["ring"]: row["shots"] for row in rows}
    return [counts.get(ring, 0) for ring in range(11)]
