"""A final as it stands, from the sessions that are shot in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final as Constant
from uuid import UUID

from pydantic import Field

from bus.connection import Connection
from handlers.stats.finals import AIR_10M, Finalist, rank
from handlers.stats.views.view import View

MOST_FINALISTS: Constant = 8


class FinalStanding(View):
    """How a finalist stands, by the session that is shot in the final."""

    session: UUID
    person: UUID
    rank: int = Field(description="among equals it is shared, until it is final")
    finished: bool = Field(description="the rank is final")
    shots: int
    stage_totals_tenths: tuple[int, ...] = Field(description="the cumulative totals after each stage that was shot")


class Final(View):
    """A 10 m final by the ISSF's stages: 5 and 10 shots, then every second one somebody leaves, 24 decide."""

    stages: tuple[int, ...]
    standings: tuple[FinalStanding, ...]
    shoot_off: tuple[UUID, ...] = Field(description="the sessions that are tied for leaving, and shoot it off first")
    absent: str | None = Field(description="why there is no ranking")


async def final(connection: Connection, sessions: Sequence[UUID]) -> Final | None:
    """The final of these sessions; None if one of them is not known. Sighters do not count; a miss is nothing."""
    people = {
        row["session"]: row["person"]
        for row in await connection.fetch(
            "SELECT session, person FROM stats.sessions WHERE session = ANY ($1)", sessions
        )
    }
    if len(people) < len(set(sessions)):
        return None
    shots: defaultdict[UUID, list[int]] = defaultdict(list)
    for row in await connection.fetch(
        """
        SELECT session, score_tenths FROM stats.shots WHERE session = ANY ($1) AND kind = 'match'
        ORDER BY received_at, device, epoch, number
        """,
        sessions,
    ):
        shots[row["session"]].append(row["score_tenths"] or 0)
    try:
        ranking = rank([Finalist(str(one), tuple(shots[one])) for one in people])
    except ValueError as error:
        return Final(stages=AIR_10M.stages, standings=(), shoot_off=(), absent=f"{error}.")
    standings = tuple(
        FinalStanding(
            session=UUID(one.name),
            person=people[UUID(one.name)],
            rank=one.rank,
            finished=one.finished,
            shots=len(shots[UUID(one.name)]),
            stage_totals_tenths=one.stage_totals_tenths,
        )
        for one in ranking.standings
    )
    return Final(stages=AIR_10M.stages, standings=standings, shoot_off=tuple(map(UUID, ranking.shoot_off)), absent=None)
