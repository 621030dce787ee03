"""Reading the log from any place, in constant memory: what analysts replay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.message import Envelope
from bus.reading import MESSAGE_COLUMNS

CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: all conditions that are given must hold."""

    from_position: int = 0
    to_position: int | None = None
    correlation: UUID | None = None
    stream: str | None = None
    names: tuple[str, ...] = ()


async def replay(connection: Connection, selection: Selection) -> AsyncIterator[Envelope]:
    """The selected messages in order, up to the log's horizon at the beginning."""
    horizon: int = await connection.fetchval("SELECT bus.horizon()")
    last = horizon if selection.to_position is None else min(horizon, selection.to_position)
    position = selection.from_position - 1
    while position < last:
        rows = await connection.fetch(
            f"""
            SELECT {MESSAGE_COLUMNS} FROM bus.outbox
            WHERE position > $1 AND position <= $2
              AND ($3::uuid IS NULL OR correlation = $3)
              AND ($4::text IS NULL OR stream = $4)
              AND ($5::text[] = '{{}}' OR name = ANY ($5))
            ORDER BY position LIMIT {CHUNK}
            """,  # noqa: S608 - constants of this package
            position,
            last,
            selection.correlation,
            selection.stream,
            list(selection.names),
        )
        for row in rows:
            yield Envelope(*row)
        if len(rows) < CHUNK:
            return
        position = rows[-1]["position"]


def as_json(envelope: Envelope, epoch: int) -> str:
    """One message as one JSON object on one line; times are RFC 3339, the body is as it stands in the log."""
    head = {
        "epoch": epoch,
        "position": envelope.position,
        "topic": envelope.topic,
        "name": envelope.name,
        "schema": envelope.schema,
        "stream": envelope.stream,
        "revision": envelope.revision,
        "id": str(envelope.id),
        "cause": None if envelope.cause is None else str(envelope.cause),
        "correlation": str(envelope.correlation),
        "concludes": None if envelope.concludes is None else str(envelope.concludes),
        "actor": envelope.actor,
        "producer": envelope.producer,
        "at": envelope.at.isoformat(),
    }
    return f'{json.dumps(head)[:-1]}, "body": {envelope.body}}}'
