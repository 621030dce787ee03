"""Puts into a database what no service would: rows that break a promise, with nothing that keeps them out."""

import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from simulation.invariants.checks import INVARIANTS, check
from simulation.invariants.evidence import Evidence, Finding

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOTHING = Evidence(commands=[], shots=[])


@dataclass
class Garden:
    """A test's database, and what can be planted there."""

    connection: asyncpg.Connection

    def __post_init__(self) -> None:
        self._open: set[str] = set()
        self._numbers = itertools.count(1)

    async def check(self, number: int, evidence: Evidence = NOTHING) -> Finding:
        [invariant] = [one for one in INVARIANTS if one.number == number]
        return await check(self.connection, invariant, evidence)

    async def row(self, table: str, **columns: Any) -> None:
        """Inserts a row, whatever it lacks."""
        if table not in self._open:
            await self._let_anything_in(table)
        names = ", ".join(columns)
        places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
        await self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *columns.values())

    async def say(
        self,
        name: str,
        stream: str,
        body: dict[str, Any],
        *,
        id_: UUID | None = None,
        revision: int | None = None,
        concludes: UUID | None = None,
        at: datetime = NOON,
    ) -> int:
        """Appends a message to the log; returns its position."""
        position: int = await self.connection.fetchval(
            """
            INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, concludes, revision, at, name,
                                    stream, actor, body)
            VALUES ($1, 0, 1, 0, $2, $2, $3, $4, $5, $6, $7, 'service:test', $8::jsonb) RETURNING position
            """,
            "telemetry" if name.startswith("tracking.") else "domain",
            id_ or uuid4(),
            concludes,
            revision,
            at,
            name,
            stream,
            json.dumps(body, default=str),
        )
        return position

    async def hold(self, booking: UUID, lane: str, person: UUID, starts_at: datetime = NOON) -> None:
        terms = {"lane": lane, "person": person, "starts_at": starts_at, "ends_at": starts_at + MINUTE}
        await self.say("booking.lane-held", f"booking:{booking}", {"booking": booking, "terms": terms})

    async def booking(self, **columns: Any) -> UUID:
        """A booking that stands, for a minute from noon on; what is given replaces what it has."""
        booking = columns.pop("booking", None) or uuid4()
        starts_at = columns.pop("starts_at", NOON)
        standing = {
            "booking": booking,
            "command": booking,
            "person": uuid4(),
            "lane": f"lane-{next(self._numbers)}",
            "starts_at": starts_at,
            "ends_at": starts_at + MINUTE,
            "during": asyncpg.Range(starts_at, starts_at + MINUTE),
            "state": "confirmed",
            "held_until": starts_at,
        }
        await self.row("booking.booking", **(standing | columns))
        return booking

    async def _let_anything_in(self, table: str) -> None:
        self._open.add(table)
        rows = await self.connection.fetch(
            "SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype <> 't' "
            "ORDER BY contype = 'n'",
            table,
        )
        for row in rows:
            await self.connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{row["conname"]}" CASCADE')
        rows = await self.connection.fetch(
            """
            SELECT format('DROP INDEX %s', indexrelid::regclass) AS statement FROM pg_index
            WHERE indrelid = $1::text::regclass AND indisunique
            UNION ALL
            SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger
            WHERE tgrelid = $1::text::regclass AND NOT tgisinternal
            """,
            table,
        )
        for row in rows:
            await self.connection.execute(row["statement"])
