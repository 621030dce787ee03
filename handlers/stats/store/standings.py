"""What is loaded to decide what to tell: where sessions stand, and what was last told of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.message import Received
from handlers.booking.events import SessionFinished, SessionStarted
from handlers.stats.commands import PublishInterim
from handlers.stats.events import Group, ShotRecorded
from handlers.stats.model.attribution import Session
from handlers.stats.model.tally import Tally
from handlers.stats.model.telling import Standing, Told
from handlers.stats.statistics import group
from handlers.stats.store.sessions import sessions_between
from handlers.stats.store.shots import KnownShot, session_shots, tallies

RADIUS_UP_TO_SHOTS: Final = 500  # in a longer session the mean radius waits for the end: it needs every shot


async def of_shots(connection: Connection, received: Sequence[Received[ShotRecorded]]) -> list[Standing]:
    """The sessions that these shots may have changed."""
    shots = [one.message for one in received]
    moments = [shot.received_at for shot in shots]
    lanes = sorted({shot.lane for shot in shots})
    return await _standings(connection, await sessions_between(connection, lanes, min(moments), max(moments)))


async def of_start(connection: Connection, started: SessionStarted) -> list[Standing]:
    """The session that began, and those it may have taken shots from."""
    return await _standings(connection, await sessions_between(connection, [started.lane], started.started_at, None))


async def of_finish(connection: Connection, finished: SessionFinished) -> list[Standing]:
    """The session that ended, and those that its late shots may have gone to."""
    others = await sessions_between(connection, [finished.lane], finished.finished_at, None)
    ended = await _session(connection, finished.booking)
    return await _standings(connection, [*ended, *(one for one in others if one not in ended)])


async def of_session(connection: Connection, asked: PublishInterim) -> Standing:
    (standing,) = await _standings(connection, await _session(connection, asked.session), asked_for=True)
    return standing


async def _standings(connection: Connection, sessions: Sequence[Session], *, asked_for: bool = False) -> list[Standing]:
    """Where sessions stand; what needs every shot is only worked out for those of which something will be told."""
    ordered = sorted(sessions, key=lambda one: one.session)
    keys = [one.session for one in ordered]
    summed = await tallies(connection, keys) if keys else {}
    told = await _told(connection, keys) if keys else {}
    standings = [Standing(one, summed.get(one.session, Tally()), told.get(one.session)) for one in ordered]
    told_of = [one.session for one in standings if asked_for or one.to_be_told]
    radii = await _mean_radii(connection, [one.session for one in told_of if one.finished_at is None])
    wholes = await _wholes(connection, [one.session for one in told_of if one.finished_at is not None])
    return [
        replace(one, mean_radius_um=radii.get(one.session.session), whole=wholes.get(one.session.session))
        for one in standings
    ]


async def _session(connection: Connection, session: UUID) -> list[Session]:
    rows = await connection.fetch(
        "SELECT session, person, lane, discipline, started_at, finished_at FROM session WHERE session = $1", session
    )
    return [Session(**row) for row in rows]


async def _told(connection: Connection, sessions: Sequence[UUID]) -> dict[UUID, Told]:
    rows = await connection.fetch(
        """
        SELECT session, final, shots, sighters, misses, score_tenths, scored_at FROM result WHERE session = ANY ($1)
        """,
        sessions,
    )
    return {row["session"]: Told(*row[1:]) for row in rows}


async def _mean_radii(connection: Connection, sessions: Sequence[UUID]) -> dict[UUID, float]:
    if not sessions:
        return {}
    rows = await connection.fetch(
        """
        SELECT session, avg(sqrt((s.x_um - t.sum_x_um::float8 / t.shots) ^ 2
                                 + (s.y_um - t.sum_y_um::float8 / t.shots) ^ 2)) AS um
        FROM tally AS t JOIN shot AS s USING (session)
        WHERE session = ANY ($1) AND t.shots BETWEEN 1 AND $2 AND s.kind = 'match' AND NOT s.miss
        GROUP BY session
        """,
        sessions,
        RADIUS_UP_TO_SHOTS,
    )
    return {row["session"]: row["um"] for row in rows}


async def _wholes(connection: Connection, sessions: Sequence[UUID]) -> dict[UUID, Group]:
    """The finished sessions, computed from all their shots anew."""
    shots: dict[UUID | None, list[KnownShot]] = defaultdict(list)
    for shot in await session_shots(connection, sessions) if sessions else ():
        shots[shot.session].append(shot)
    return {session: _whole(shots[session]) for session in sessions}


def _whole(shots: Sequence[KnownShot]) -> Group:
    match = [shot for shot in shots if shot.kind == "match"]
    hits = [shot for shot in match if not shot.miss]
    return group(
        [shot.x_um for shot in hits],
        [shot.y_um for shot in hits],
        [shot.score_tenths or 0 for shot in hits],
        sum(shot.inner_ten for shot in hits),
        len(match) - len(hits),
    )
