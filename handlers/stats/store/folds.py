"""How each event is applied. What shots and sessions mean does not depend on the order in which they come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from handlers.booking.events import SessionFinished, SessionStarted
from handlers.stats.events import InterimScored, SessionScored, ShotRecorded
from handlers.stats.model.attribution import Attribution, Session
from handlers.stats.model.tally import Tally, Worth, worths
from handlers.stats.store.sessions import (
    end_session,
    hold_lane,
    insert_session,
    sessions_between,
    sessions_of,
    share_lanes,
)
from handlers.stats.store.shots import (
    KnownShot,
    insert_shots,
    lane_shots_since,
    numbered_shots,
    reassign,
    save_tally,
    session_shots,
    tallies,
)


async def shots_recorded(connection: Connection, shots: Sequence[ShotRecorded]) -> None:
    """Give each shot to its session, score it there, and add it to what the session has."""
    lanes = sorted({shot.lane for shot in shots})
    await share_lanes(connection, lanes)
    moments = [shot.received_at for shot in shots]
    attribution = Attribution(await sessions_between(connection, lanes, min(moments), max(moments)))
    owners = [attribution.of(shot.lane, shot.received_at) for shot in shots]
    scored = worths(shots, owners)
    await insert_shots(connection, shots, owners, scored)
    gained: dict[UUID, list[tuple[ShotRecorded, Worth]]] = defaultdict(list)
    for shot, owner, worth in zip(shots, owners, scored, strict=True):
        if owner is not None:
            gained[owner.session].append((shot, worth))
    before = await tallies(connection, list(gained))
    for session in sorted(gained):
        await save_tally(connection, session, before.get(session, Tally()) + Tally.of(gained[session]))


async def session_started(connection: Connection, started: SessionStarted) -> None:
    await hold_lane(connection, started.lane)
    await insert_session(connection, started)
    await _attribute_again(connection, started.lane, started.started_at)


async def session_finished(connection: Connection, finished: SessionFinished) -> None:
    await hold_lane(connection, finished.lane)
    await end_session(connection, finished)
    await _attribute_again(connection, finished.lane, finished.finished_at)


async def _attribute_again(connection: Connection, lane: str, since: datetime) -> None:
    """A session's bounds became known after these shots: give them to whom they belong now."""
    shots = await lane_shots_since(connection, lane, since)
    if not shots:
        return
    attribution = Attribution(await sessions_between(connection, [lane], since, None))
    moved = [
        (shot, owner)
        for shot, owner in ((shot, attribution.of(lane, shot.received_at)) for shot in shots)
        if shot.assigned is None and shot.session != (owner and owner.session)
    ]
    if not moved:
        return
    strays, owners = [shot for shot, _ in moved], [owner for _, owner in moved]
    await reassign(connection, strays, owners, _worths(strays, owners))
    touched = {owner.session for owner in owners if owner} | {shot.session for shot in strays if shot.session}
    await _add_up_again(connection, sorted(touched))


async def score_again(
    connection: Connection, device: str, epoch: str, numbers: Sequence[int], given_to: UUID | None = None
) -> None:
    """What is said of these shots has changed: they are scored anew, and what they touch is added up.

    Each stays with the session that it has by now, unless somebody gave it to another.
    """
    shots = await numbered_shots(connection, device, epoch, numbers)
    owners = [given_to or shot.session for shot in shots]
    touched = sorted({one for one in (*owners, *(shot.session for shot in shots)) if one is not None})
    known = {one.session: one for one in await sessions_of(connection, touched)}
    sessions = [None if owner is None else known[owner] for owner in owners]
    await reassign(connection, shots, sessions, _worths(shots, sessions))
    await _add_up_again(connection, touched)


def _worths(shots: Sequence[KnownShot], sessions: Sequence[Session | None]) -> list[Worth]:
    """Scored by their places, unless somebody gave a score."""
    return [
        worth if shot.given_tenths is None or session is None else Worth(shot.given_tenths, worth.inner_ten)
        for shot, session, worth in zip(shots, sessions, worths(shots, sessions), strict=True)
    ]


async def _add_up_again(connection: Connection, sessions: Sequence[UUID]) -> None:
    """A hull cannot be made smaller by what leaves it, so whoever lost shots is added up from the start."""
    await tallies(connection, sessions)  # holds them
    scored: dict[UUID | None, list[tuple[KnownShot, Worth]]] = defaultdict(list)
    for shot in await session_shots(connection, sessions):
        scored[shot.session].append((shot, shot.worth))
    for session in sessions:
        await save_tally(connection, session, Tally.of(scored[session]))


async def result_told(connection: Connection, told: InterimScored | SessionScored) -> None:
    group = told.group
    await connection.execute(
        """
        INSERT INTO result (session, final, shots, score_tenths, integer_score, inner_tens, mean_score, centre_x_um,
                            centre_y_um, mean_radius_um, extreme_spread_um, sighters, misses, scored_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (session) DO UPDATE SET
            final = excluded.final, shots = excluded.shots, score_tenths = excluded.score_tenths,
            integer_score = excluded.integer_score, inner_tens = excluded.inner_tens,
            mean_score = excluded.mean_score, centre_x_um = excluded.centre_x_um,
            centre_y_um = excluded.centre_y_um, mean_radius_um = excluded.mean_radius_um,
            extreme_spread_um = excluded.extreme_spread_um, sighters = excluded.sighters,
            misses = excluded.misses, scored_at = excluded.scored_at
        """,
        told.session,
        isinstance(told, SessionScored),
        group.shots,
        group.score_tenths,
        group.integer_score,
        group.inner_tens,
        group.mean_score,
        group.centre_x_um,
        group.centre_y_um,
        group.mean_radius_um,
        group.extreme_spread_um,
        told.sighters,
        told.misses,
        told.scored_at,
    )
