"""What a person has paused: a consumer, one of its handlers, a stream. Pauses are rows, and outlast every process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from bus.connection import Connection

Kind = Literal["consumer", "handler", "stream"]
PAUSED: Final = "paused by hand: "


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause of one consumer."""

    kind: Kind
    what: str  # a message name, a stream; empty for the consumer itself
    reason: str
    at: datetime

    @property
    def cause(self) -> str:
        """What a stream that waits for its end is parked with."""
        return f"{PAUSED}{self.kind} {self.what}".rstrip()


async def of(connection: Connection, consumer: str) -> list[Pause]:
    rows = await connection.fetch(
        "SELECT kind, what, reason, at FROM bus.pause WHERE consumer = $1 ORDER BY kind, what", consumer
    )
    return [Pause(**row) for row in rows]


async def pause(connection: Connection, consumer: str, kind: Kind, what: str, reason: str) -> None:
    """Takes effect within a second; a second pause of the same only changes the reason."""
    await connection.execute(
        """
        INSERT INTO bus.pause (consumer, kind, what, reason) VALUES ($1, $2, $3, $4)
        ON CONFLICT (consumer, kind, what) DO UPDATE SET reason = excluded.reason
        """,
        consumer,
        kind,
        what,
        reason,
    )


async def resume(connection: Connection, consumer: str, kind: Kind, what: str) -> bool:
    """Ends a pause; False if there was none. What waited goes on within a second, each stream in order."""
    gone = await connection.fetchval(
        "DELETE FROM bus.pause WHERE consumer = $1 AND kind = $2 AND what = $3 RETURNING true", consumer, kind, what
    )
    return gone is True
