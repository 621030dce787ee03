"""The work of `firingline bench consume-real`: for each message a row in a table and an event, one by one."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.fields import Code
from bus.identity import uuid7
from bus.message import Event
from bus.service import Given, Hears, Service
from handlers.stats.events import CommandFailed, CommandRejected, ShotRecorded

KEPT: Final = "stats.shot-kept"
KEPT_TABLE: Final = """
    CREATE SCHEMA kept;
    CREATE TABLE kept.shot (
        device text NOT NULL, epoch text NOT NULL, number bigint NOT NULL, lane text NOT NULL,
        x_um integer NOT NULL, y_um integer NOT NULL, received_at timestamptz NOT NULL,
        PRIMARY KEY (device, epoch, number)
    );
    GRANT USAGE ON SCHEMA kept TO PUBLIC;
    GRANT SELECT, INSERT ON kept.shot TO PUBLIC;
"""


class ShotKept(Event, name=KEPT, stream="kept-shot:{kept}"):
    """A shot was put down; each in a stream of its own, as bookings are."""

    kept: UUID
    shot: ShotRecorded
    lane: Code


async def keep(connection: Connection, shot: ShotRecorded) -> None:
    """A row for a shot; a second one for the same shot is refused."""
    await connection.execute(
        """
        INSERT INTO kept.shot (device, epoch, number, lane, x_um, y_um, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        shot.device,
        shot.epoch,
        shot.number,
        shot.lane,
        shot.x_um,
        shot.y_um,
        shot.received_at,
    )


def keeper(name: str) -> Service:
    """A service that hears shots and keeps them."""

    def decide(_state: None, shot: ShotRecorded, _given: Given) -> list[ShotKept]:
        return [kept(shot)]

    async def apply(connection: Connection, event: ShotKept) -> None:
        await keep(connection, event.shot)

    return Service(
        name=name,
        hears=[Hears(ShotRecorded, None, decide)],
        says=[ShotKept],
        applies={ShotKept: apply},
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
    )


def kept(shot: ShotRecorded) -> ShotKept:
    return ShotKept(kept=uuid7(), shot=shot, lane=shot.lane)
