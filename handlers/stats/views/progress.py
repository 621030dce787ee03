"""How a shooter comes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from asyncpg import Record
from pydantic import Field

from bus.connection import Connection
from handlers.stats.change import FEWEST_SHOTS, compare
from handlers.stats.statistics import mean_with_interval
from handlers.stats.views.view import View

MOST_SESSIONS: Final = 1_000  # several a day for a year


class SessionMean(View):
    """A session's mean score in rings a shot, with its 95 % interval where there are shots enough for one."""

    session: UUID
    started_at: datetime
    shots: int
    mean_score: float
    low: float | None
    high: float | None


class ProgressChange(View):
    """Whether the change from sessions before a moment to those after it is real, by Welch's test of their means."""

    split_at: datetime
    sessions_before: int
    sessions_after: int
    mean_before: float | None = Field(description="rings a shot, each session counting once")
    mean_after: float | None
    difference: float | None = Field(description="rings a shot; more is better")
    low: float | None = Field(description="where the interval of the difference begins, at 95 %")
    high: float | None
    p: float | None = Field(description="how often sessions that did not change differ as much by chance, from 0 to 1")
    real: bool | None = Field(description="whether p is below 0.05; none where nothing can be said")
    in_words: str

    @classmethod
    def of(cls, split_at: datetime, sessions: Sequence[SessionMean]) -> Self:
        counted = [one for one in sessions if one.shots >= FEWEST_SHOTS]
        change = compare(
            [one.mean_score for one in counted if one.started_at < split_at],
            [one.mean_score for one in counted if one.started_at >= split_at],
        )
        return cls(
            split_at=split_at,
            sessions_before=change.sessions_before,
            sessions_after=change.sessions_after,
            mean_before=change.mean_before,
            mean_after=change.mean_after,
            difference=change.difference,
            low=change.low,
            high=change.high,
            p=change.p,
            real=change.real,
            in_words=change.in_words,
        )


class Progress(View):
    """How a shooter's mean score went, session by session, and whether it changed."""

    person: UUID
    discipline: str
    sessions: list[SessionMean]
    change: ProgressChange = Field(description=f"sessions of fewer than {FEWEST_SHOTS} match shots are left out of it")


async def progress(
    connection: Connection,
    person: UUID,
    since: datetime,
    until: datetime,
    discipline: str,
    *,
    split_at: datetime | None = None,
) -> Progress:
    """The mean score of each session of a discipline that began within [since, until) and has match shots.

    The change is that from before `split_at` to after it: the middle of the time, if it is left out.
    """
    rows = await connection.fetch(
        """
        SELECT session, started_at, shots + misses AS shots, score_tenths / 10.0::float8 / (shots + misses) AS mean,
               CASE WHEN shots + misses > 1 THEN sqrt(greatest(0,
                   (shots + misses) * sum_squared_tenths - score_tenths::bigint ^ 2)
                   / ((shots + misses)::float8 * (shots + misses - 1))) / 10 END AS deviation
        FROM stats.session_sums
        WHERE person = $1 AND started_at >= $2 AND started_at < $3 AND discipline = $4
          AND shots + misses > 0 AND scored = shots
        ORDER BY started_at, session LIMIT $5
        """,
        person,
        since,
        until,
        discipline,
        MOST_SESSIONS,
    )
    sessions = [_session_mean(row) for row in rows]
    middle = since + (until - since) / 2
    return Progress(
        person=person,
        discipline=discipline,
        sessions=sessions,
        change=ProgressChange.of(split_at or middle, sessions),
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
