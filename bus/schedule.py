"""Messages for later: a service's own commands, appended when their time comes by the database's clock."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from bus.desk import Desk
from bus.message import Catalogue
from bus.outbox import Said

SEND_AT_ONCE: Final = 200
LOOK_EVERY_S: Final = 10.0  # the database's clock may have been set, or another worker gone with what it had scheduled

# Both walk the index by time from its beginning, and stop: what is pending for later costs nothing. Their time
# is the statement's: clock_timestamp() differs from row to row, and would bound no index.
NEXT_DUE: Final = """
    SELECT extract(epoch FROM s.due_at - clock_timestamp())::float8
    FROM bus.scheduled AS s
    WHERE s.service = $1
      AND EXISTS (
          SELECT FROM unnest($2::text[], $3::smallint[]) AS k (name, version)
          WHERE k.name = s.name AND s.schema <= k.version)
    ORDER BY s.due_at LIMIT 1
"""
TAKE_DUE: Final = f"""
    WITH due AS (
        SELECT s.service, s.key
        FROM bus.scheduled AS s
        WHERE s.service = $1 AND s.due_at <= statement_timestamp()
          AND EXISTS (
              SELECT FROM unnest($2::text[], $3::smallint[]) AS k (name, version)
              WHERE k.name = s.name AND s.schema <= k.version)
        ORDER BY s.due_at LIMIT {SEND_AT_ONCE} FOR UPDATE OF s SKIP LOCKED
    )
    DELETE FROM bus.scheduled AS s USING due WHERE s.service = due.service AND s.key = due.key
    RETURNING s.due_at, s.name, s.schema, s.body, s.cause, s.correlation, s.actor
"""  # noqa: S608 - a constant


class Schedule:
    """What one service has asked itself for later."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._commands = Catalogue(desk.service.asks_itself)
        self._names = self._commands.names
        self._versions = [self._commands[name].version for name in self._names]
        self._due_at: float | None = None  # on the monotonic clock, as is
        self._looked_at = 0.0

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
        if time.monotonic() >= self._looked_at + LOOK_EVERY_S:
            await self._look_ahead()
        if self._due_at is None or time.monotonic() < self._due_at:
            return False
        async with self._desk.connection.transaction():
            said = await self._take_due()
            await self._desk.check_share()
            await self._desk.outbox.append(self._desk.connection, said)
        if said:
            self._desk.ring()
        await self._look_ahead()
        return bool(said)

    async def _look_ahead(self) -> None:
        self._looked_at = time.monotonic()
        seconds = await self._desk.connection.fetchval(NEXT_DUE, self._desk.consumer, self._names, self._versions)
        self._due_at = None if seconds is None else time.monotonic() + seconds

    async def _take_due(self) -> list[Said]:
        """Takes what is due out of the schedule, to be appended in the same transaction.

        What only newer code knows how to say stays where it is.
        """
        rows = await self._desk.connection.fetch(TAKE_DUE, self._desk.consumer, self._names, self._versions)
        return [
            Said(
                message=self._commands[row["name"]].read(row["schema"], row["body"]),
                actor=row["actor"],
                correlation=row["correlation"],
                cause=row["cause"],
            )
            for row in sorted(rows, key=lambda row: row["due_at"])
        ]
