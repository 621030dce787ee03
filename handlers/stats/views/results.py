"""Sessions with their results, and their shots.

`person` is whose sessions may be seen; None sees everybody's (staff). What belongs to somebody else looks absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Self
from uuid import UUID

from asyncpg import Record
from pydantic import Field

from bus.connection import Connection
from handlers.stats.events import Group
from handlers.stats.views.view import View

MOST_SESSIONS: Final = 200
MOST_SHOTS: Final = 1000


class SessionResult(View):
    """How a session stands, or how it ended."""

    session: UUID
    person: UUID
    lane: str
    discipline: str
    started_at: datetime
    finished_at: datetime | None
    state: Literal["running", "finished", "scored"] = Field(
        description="running: being shot; finished: the final result is on its way; scored: it is there"
    )
    group: Group | None = Field(description="the match shots that hit; none before the first result")
    sighters: int
    misses: int
    disagreements: int = Field(description="shots whose target tells another score than ours")
    scored_at: datetime | None

    @classmethod
    def of(cls, row: Record) -> Self:
        state = "scored" if row["final"] else "running" if row["finished_at"] is None else "finished"
        group = None if row["shots"] is None else Group(**{name: row[name] for name in Group.model_fields})
        return cls(
            state=state,
            group=group,
            sighters=row["sighters"] or 0,
            misses=row["misses"] or 0,
            disagreements=row["disagreements"],
            **{
                name: row[name]
                for name in ("session", "person", "lane", "discipline", "started_at", "finished_at", "scored_at")
            },
        )


class ShotResult(View):
    """A shot of a session, with our score."""

    number: int
    kind: Literal["sighter", "match"]
    miss: bool
    x_um: int
    y_um: int
    score_tenths: int | None
    inner_ten: bool
    elapsed_ms: int | None
    received_at: datetime
    device_tenths: int | None = Field(description="the target's own decimal score, if it tells one")
    device_rings: int | None
    disagrees: bool = Field(description="the target's own score is another than ours")
    invalid: str | None = Field(description="why it counts nothing, wherever it hit")
    during_cease_fire: bool
    device: str
    epoch: str
    corrected: bool = Field(description="a person gave it its score or its session")


class UnassignedShot(View):
    """A shot that belongs to no session: nobody had the lane when it came."""

    lane: str
    device: str
    epoch: str
    number: int
    kind: Literal["sighter", "match"]
    miss: bool
    x_um: int
    y_um: int
    received_at: datetime
    invalid: str | None


async def unassigned(
    connection: Connection, since: datetime, until: datetime, lane: str | None, *, limit: int = MOST_SHOTS
) -> list[UnassignedShot]:
    """Shots of no session that came within [since, until), in that order."""
    rows = await connection.fetch(
        """
        SELECT lane, device, epoch, number, kind, miss, x_um, y_um, received_at, invalid
        FROM stats.shots
        WHERE session IS NULL AND received_at >= $1 AND received_at < $2 AND ($3::text IS NULL OR lane = $3)
        ORDER BY received_at, device, epoch, number LIMIT $4
        """,
        since,
        until,
        lane,
        min(limit, MOST_SHOTS),
    )
    return [UnassignedShot(**dict(row)) for row in rows]


async def session(connection: Connection, session_id: UUID, person: UUID | None) -> SessionResult | None:
    """One session's result."""
    row = await connection.fetchrow(
        """
        SELECT session, person, lane, discipline, started_at, finished_at, final, shots, score_tenths, integer_score,
               inner_tens, mean_score, centre_x_um, centre_y_um, mean_radius_um, extreme_spread_um, sighters, misses,
               scored_at,
               (SELECT count(*) FROM stats.shots AS t WHERE t.session = s.session AND t.disagrees) AS disagreements
        FROM stats.sessions AS s WHERE session = $1 AND ($2::uuid IS NULL OR person = $2)
        """,
        session_id,
        person,
    )
    return None if row is None else SessionResult.of(row)


async def sessions(
    connection: Connection,
    person: UUID,
    since: datetime,
    until: datetime,
    *,
    after: UUID | None = None,
    limit: int = MOST_SESSIONS,
) -> list[SessionResult]:
    """A shooter's sessions that began within [since, until), in that order; `after` continues behind one of them."""
    rows = await connection.fetch(
        """
        SELECT s.session, s.person, s.lane, s.discipline, s.started_at, s.finished_at, s.final, s.shots,
               s.score_tenths, s.integer_score, s.inner_tens, s.mean_score, s.centre_x_um, s.centre_y_um,
               s.mean_radius_um, s.extreme_spread_um, s.sighters, s.misses, s.scored_at,
               (SELECT count(*) FROM stats.shots AS t WHERE t.session = s.session AND t.disagrees) AS disagreements
        FROM stats.sessions AS s
        WHERE s.person = $1 AND s.started_at >= $2 AND s.started_at < $3
          AND ($4::uuid IS NULL OR (s.started_at, s.session) > (
              SELECT a.started_at, a.session FROM stats.sessions AS a WHERE a.session = $4 AND a.person = $1))
        ORDER BY s.started_at, s.session LIMIT $5
        """,
        person,
        since,
        until,
        after,
        min(limit, MOST_SESSIONS),
    )
    return [SessionResult.of(row) for row in rows]


async def shots(
    connection: Connection, session_id: UUID, person: UUID | None, *, skip: int = 0, limit: int = MOST_SHOTS
) -> Sequence[ShotResult] | None:
    """A session's shots in the order they came; None if there is no such session to be seen."""
    known = await connection.fetchval(
        "SELECT true FROM stats.sessions WHERE session = $1 AND ($2::uuid IS NULL OR person = $2)",
        session_id,
        person,
    )
    if known is None:
        return None
    rows = await connection.fetch(
        """
        SELECT number, kind, miss, x_um, y_um, score_tenths, inner_ten, elapsed_ms, received_at, device_tenths,
               device_rings, disagrees, invalid, during_cease_fire, device, epoch, corrected
        FROM stats.shots WHERE session = $1 AND ($2::uuid IS NULL OR person = $2)
        ORDER BY received_at, device, epoch, number OFFSET $3 LIMIT $4
        """,
        session_id,
        person,
        skip,
        min(limit, MOST_SHOTS),
    )
    return [ShotResult(**dict(row)) for row in rows]
