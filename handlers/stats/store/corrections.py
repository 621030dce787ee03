"""What people said of shots: what the decision needs, and how it is applied."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.stats.commands import AssignShots, CorrectShot
from handlers.stats.events import ShotCorrected, ShotsAssigned
from handlers.stats.model.corrections import MOST_ASSIGNED, Claim, Numbered
from handlers.stats.store.folds import score_again
from handlers.stats.store.sessions import hold_lane


async def correction(connection: Connection, asked: CorrectShot) -> Claim:
    """The shot that is spoken of."""
    rows = await connection.fetch(
        "SELECT number, session, kind FROM shot WHERE device = $1 AND epoch = $2 AND number = $3",
        asked.device,
        asked.epoch,
        asked.number,
    )
    return Claim(await _is_known(connection, asked.session), [Numbered(**row) for row in rows])


async def assignment(connection: Connection, asked: AssignShots) -> Claim:
    """The shots that are spoken of; one more than can be assigned at once."""
    rows = await connection.fetch(
        """
        SELECT number, session, kind FROM shot WHERE device = $1 AND epoch = $2 AND number BETWEEN $3 AND $4
        ORDER BY number LIMIT $5
        """,
        asked.device,
        asked.epoch,
        asked.first,
        asked.last,
        MOST_ASSIGNED + 1,
    )
    return Claim(await _is_known(connection, asked.session), [Numbered(**row) for row in rows])


async def shot_corrected(connection: Connection, event: ShotCorrected) -> None:
    await _hold_lanes(connection, event.device, event.epoch, [event.number])
    await connection.execute(
        """
        UPDATE shot SET kind = $4, given_tenths = $5, invalid = CASE WHEN $6 THEN NULL ELSE $7 END
        WHERE device = $1 AND epoch = $2 AND number = $3
        """,
        event.device,
        event.epoch,
        event.number,
        event.kind,
        event.score_tenths,
        event.counts,
        event.reason,
    )
    await score_again(connection, event.device, event.epoch, [event.number])


async def shots_assigned(connection: Connection, event: ShotsAssigned) -> None:
    numbers = list(event.numbers)
    await _hold_lanes(connection, event.device, event.epoch, numbers)
    await connection.execute(
        "UPDATE shot SET assigned = $4 WHERE device = $1 AND epoch = $2 AND number = ANY ($3)",
        event.device,
        event.epoch,
        numbers,
        event.session,
    )
    await score_again(connection, event.device, event.epoch, numbers, event.session)


async def _hold_lanes(connection: Connection, device: str, epoch: str, numbers: list[int]) -> None:
    rows = await connection.fetch(
        "SELECT DISTINCT lane FROM shot WHERE device = $1 AND epoch = $2 AND number = ANY ($3) ORDER BY lane",
        device,
        epoch,
        numbers,
    )
    for row in rows:
        await hold_lane(connection, row["lane"])


async def _is_known(connection: Connection, session: UUID) -> bool:
    return await connection.fetchval("SELECT true FROM session WHERE session = $1", session) is not None
