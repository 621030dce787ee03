"""Messages for later: a service's own commands, appended when their time comes by the database's clock."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from bus.connection import Connection
from bus.desk import Desk
from bus.message import Catalogue
from bus.outbox import Said

SEND_AT_ONCE: Final = 200


class Schedule:
    """What one service has asked itself for later."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._commands = Catalogue(desk.service.asks_itself)
        self._due_at: float | None = None  # on the monotonic clock

    async def open(self) -> None:
        self._desk.outbox.next_due_at = None
        await self._look_ahead()

    def heed(self, now: datetime) -> None:
        """Takes note of what the last transaction scheduled; `now` is the database's clock."""
        due = self._desk.outbox.next_due_at
        if due is None:
            return
        self._desk.outbox.next_due_at = None
        due_at = time.monotonic() + (due - now).total_seconds()
        self._due_at = due_at if self._due_at is None else min(self._due_at, due_at)

    def patience_s(self) -> float | None:
        """Seconds until something is due; None if nothing is scheduled."""
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    async def send_due(self) -> bool:
        """Appends what is due; True if anything was."""
        if self._due_at is None or time.monotonic() < self._due_at:
            return False
        async with self._desk.connection.transaction():
            said = await _take_due(self._desk.connection, self._desk.consumer, self._commands)
            await self._desk.check_lease()
            await self._desk.outbox.append(self._desk.connection, said)
        if said:
            self._desk.ring()
        await self._look_ahead()
        return bool(said)

    async def _look_ahead(self) -> None:
        seconds = await self._desk.connection.fetchval(
            """
            SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM bus.scheduled WHERE service = $1
            """,
            self._desk.consumer,
        )
        self._due_at = None if seconds is None else time.monotonic() + seconds


async def _take_due(connection: Connection, service: str, catalogue: Catalogue) -> list[Said]:
    """Takes what is due out of the schedule, to be appended in the same transaction."""
    rows = await connection.fetch(
        """
        WITH due AS (
            SELECT service, key FROM bus.scheduled
            WHERE service = $1 AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT $2 FOR UPDATE
        )
        DELETE FROM bus.scheduled AS s USING due WHERE s.service = due.service AND s.key = due.key
        RETURNING s.due_at, s.name, s.schema, s.body, s.cause, s.correlation, s.actor
        """,
        service,
        SEND_AT_ONCE,
    )
    return [
        Said(
            message=catalogue[row["name"]].read(row["schema"], row["body"]),
            actor=row["actor"],
            correlation=row["correlation"],
            cause=row["cause"],
        )
        for row in sorted(rows, key=lambda row: row["due_at"])
    ]
