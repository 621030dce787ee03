"""Shots, and what they add up to in each session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from handlers.stats.events import ShotRecorded
from handlers.stats.model.attribution import Session
from handlers.stats.model.tally import Tally, Worth


@dataclass(frozen=True, slots=True)
class KnownShot:
    """A shot as it stands in the table."""

    device: str
    epoch: str
    number: int
    lane: str
    kind: str
    miss: bool
    x_um: int
    y_um: int
    received_at: datetime
    face: str | None
    session: UUID | None
    score_tenths: int | None
    inner_ten: bool
    invalid: str | None
    given_tenths: int | None
    assigned: UUID | None

    @property
    def worth(self) -> Worth:
        return Worth(self.score_tenths, self.inner_ten)


async def insert_shots(
    connection: Connection,
    shots: Sequence[ShotRecorded],
    sessions: Sequence[Session | None],
    worths: Sequence[Worth],
) -> None:
    await connection.execute(
        """
        INSERT INTO shot (device, epoch, number, lane, kind, miss, x_um, y_um, elapsed_ms, received_at, face, session,
                          score_tenths, inner_ten, device_tenths, device_rings, device_inner_ten, invalid)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::boolean[], $7::integer[],
                             $8::integer[], $9::bigint[], $10::timestamptz[], $11::text[], $12::uuid[],
                             $13::smallint[], $14::boolean[], $15::smallint[], $16::smallint[], $17::boolean[],
                             $18::text[])
        """,
        [shot.device for shot in shots],
        [shot.epoch for shot in shots],
        [shot.number for shot in shots],
        [shot.lane for shot in shots],
        [shot.kind for shot in shots],
        [shot.miss for shot in shots],
        [shot.x_um for shot in shots],
        [shot.y_um for shot in shots],
        [shot.elapsed_ms for shot in shots],
        [shot.received_at for shot in shots],
        [shot.face for shot in shots],
        [session and session.session for session in sessions],
        [worth.tenths for worth in worths],
        [worth.inner_ten for worth in worths],
        [shot.device_tenths for shot in shots],
        [shot.device_rings for shot in shots],
        [shot.device_inner_ten for shot in shots],
        [shot.invalid for shot in shots],
    )


async def lane_shots_since(connection: Connection, lane: str, since: datetime) -> list[KnownShot]:
    rows = await connection.fetch(
        """
        SELECT device, epoch, number, lane, kind, miss, x_um, y_um, received_at, face, session, score_tenths, inner_ten,
               invalid, given_tenths, assigned
        FROM shot WHERE lane = $1 AND received_at >= $2
        """,
        lane,
        since,
    )
    return [KnownShot(**row) for row in rows]


async def numbered_shots(connection: Connection, device: str, epoch: str, numbers: Sequence[int]) -> list[KnownShot]:
    rows = await connection.fetch(
        """
        SELECT device, epoch, number, lane, kind, miss, x_um, y_um, received_at, face, session, score_tenths, inner_ten,
               invalid, given_tenths, assigned
        FROM shot WHERE device = $1 AND epoch = $2 AND number = ANY ($3) ORDER BY number
        """,
        device,
        epoch,
        numbers,
    )
    return [KnownShot(**row) for row in rows]


async def session_shots(connection: Connection, sessions: Sequence[UUID]) -> list[KnownShot]:
    rows = await connection.fetch(
        """
        SELECT device, epoch, number, lane, kind, miss, x_um, y_um, received_at, face, session, score_tenths, inner_ten,
               invalid, given_tenths, assigned
        FROM shot WHERE session = ANY ($1) ORDER BY received_at, device, epoch, number
        """,
        sessions,
    )
    return [KnownShot(**row) for row in rows]


async def reassign(
    connection: Connection,
    shots: Sequence[KnownShot],
    sessions: Sequence[Session | None],
    worths: Sequence[Worth],
) -> None:
    await connection.execute(
        """
        UPDATE shot AS s SET session = n.session, score_tenths = n.score_tenths, inner_ten = n.inner_ten
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::smallint[], $6::boolean[])
             AS n (device, epoch, number, session, score_tenths, inner_ten)
        WHERE s.device = n.device AND s.epoch = n.epoch AND s.number = n.number
        """,
        [shot.device for shot in shots],
        [shot.epoch for shot in shots],
        [shot.number for shot in shots],
        [session and session.session for session in sessions],
        [worth.tenths for worth in worths],
        [worth.inner_ten for worth in worths],
    )


async def tallies(connection: Connection, sessions: Sequence[UUID]) -> dict[UUID, Tally]:
    """What is added up already, held until the transaction's end."""
    rows = await connection.fetch(
        """
        SELECT session, shots, sighters, misses, score_tenths, integer_score, inner_tens, sum_x_um, sum_y_um,
               hull_x_um, hull_y_um, last_at, last_number, scored, rings, sum_squared_tenths, sum_xx_um, sum_xy_um,
               sum_yy_um, sum_s, sum_ss, sum_s_tenths
        FROM tally WHERE session = ANY ($1) ORDER BY session FOR UPDATE
        """,
        sessions,
    )
    return {
        row["session"]: Tally(
            shots=row["shots"],
            sighters=row["sighters"],
            misses=row["misses"],
            score_tenths=row["score_tenths"],
            integer_score=row["integer_score"],
            inner_tens=row["inner_tens"],
            sum_x_um=row["sum_x_um"],
            sum_y_um=row["sum_y_um"],
            hull=tuple(zip(row["hull_x_um"], row["hull_y_um"], strict=True)),
            last=None if row["last_at"] is None else (row["last_at"], row["last_number"]),
            scored=row["scored"],
            rings=tuple(row["rings"]),
            sum_squared_tenths=row["sum_squared_tenths"],
            sum_xx_um=int(row["sum_xx_um"]),
            sum_xy_um=int(row["sum_xy_um"]),
            sum_yy_um=int(row["sum_yy_um"]),
            sum_s=int(row["sum_s"]),
            sum_ss=int(row["sum_ss"]),
            sum_s_tenths=int(row["sum_s_tenths"]),
        )
        for row in rows
    }


async def save_tally(connection: Connection, session: UUID, tally: Tally) -> None:
    await connection.execute(
        """
        INSERT INTO tally (session, shots, sighters, misses, score_tenths, integer_score, inner_tens, sum_x_um,
                           sum_y_um, hull_x_um, hull_y_um, last_at, last_number, scored, rings, sum_squared_tenths,
                           sum_xx_um, sum_xy_um, sum_yy_um, sum_s, sum_ss, sum_s_tenths)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
        ON CONFLICT (session) DO UPDATE SET
            shots = excluded.shots, sighters = excluded.sighters, misses = excluded.misses,
            score_tenths = excluded.score_tenths, integer_score = excluded.integer_score,
            inner_tens = excluded.inner_tens, sum_x_um = excluded.sum_x_um, sum_y_um = excluded.sum_y_um,
            hull_x_um = excluded.hull_x_um, hull_y_um = excluded.hull_y_um,
            last_at = excluded.last_at, last_number = excluded.last_number, scored = excluded.scored,
            rings = excluded.rings, sum_squared_tenths = excluded.sum_squared_tenths,
            sum_xx_um = excluded.sum_xx_um, sum_xy_um = excluded.sum_xy_um, sum_yy_um = excluded.sum_yy_um,
            sum_s = excluded.sum_s, sum_ss = excluded.sum_ss, sum_s_tenths = excluded.sum_s_tenths
        """,
        session,
        tally.shots,
        tally.sighters,
        tally.misses,
        tally.score_tenths,
        tally.integer_score,
        tally.inner_tens,
        tally.sum_x_um,
        tally.sum_y_um,
        [x for x, _ in tally.hull],
        [y for _, y in tally.hull],
        None if tally.last is None else tally.last[0],
        None if tally.last is None else tally.last[1],
        tally.scored,
        list(tally.rings),
        tally.sum_squared_tenths,
        tally.sum_xx_um,
        tally.sum_xy_um,
        tally.sum_yy_um,
        tally.sum_s,
        tally.sum_ss,
        tally.sum_s_tenths,
    )
