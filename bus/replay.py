"""Reading the log from any place, in constant memory: what analysts replay."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from json.encoder import encode_basestring_ascii as _quoted
from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.errors import Refusal
from bus.message import Envelope
from bus.reading import MESSAGE_COLUMNS

CHUNK: Final = 2_000
CLOCK_MAY_STEP_BACK: Final = timedelta(hours=1)
COLUMNS: Final = (
    "epoch",
    "position",
    "topic",
    "name",
    "schema",
    "stream",
    "revision",
    "id",
    "cause",
    "correlation",
    "concludes",
    "actor",
    "producer",
    "at",
    "body",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: all conditions that are given must hold."""

    from_position: int = 0
    to_position: int | None = None
    correlation: UUID | None = None
    stream: str | None = None
    names: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None  # not included


async def replay(connection: Connection, selection: Selection) -> AsyncIterator[Envelope]:
    """The selected messages in order, up to the log's horizon at the beginning.

    Raises a Refusal if retention drops what was still to be read.
    """
    horizon: int = await connection.fetchval("SELECT bus.horizon()")
    last = horizon if selection.to_position is None else min(horizon, selection.to_position)
    position = selection.from_position - 1
    if selection.since is not None:
        position = max(position, await _before(connection, selection.since - CLOCK_MAY_STEP_BACK, horizon))
    if selection.until is not None:
        last = min(last, await _before(connection, selection.until + CLOCK_MAY_STEP_BACK, horizon))
    dropped = await dropped_upto(connection)
    while position < last:
        rows = await connection.fetch(
            f"""
            SELECT {MESSAGE_COLUMNS} FROM bus.outbox
            WHERE position > $1 AND position <= $2
              AND ($3::uuid IS NULL OR correlation = $3)
              AND ($4::text IS NULL OR stream = $4)
              AND ($5::text[] = '{{}}' OR name = ANY ($5))
              AND ($6::timestamptz IS NULL OR at >= $6)
              AND ($7::timestamptz IS NULL OR at < $7)
            ORDER BY position LIMIT {CHUNK}
            """,  # noqa: S608 - constants of this package
            position,
            last,
            selection.correlation,
            selection.stream,
            list(selection.names),
            selection.since,
            selection.until,
        )
        if (gone := await dropped_upto(connection)) > max(dropped, position):
            raise Refusal(f"The log up to position {gone} was dropped while it was being read, after {position}.")
        for row in rows:
            yield Envelope(*row)
        if len(rows) < CHUNK:
            return
        position = rows[-1]["position"]


async def dropped_upto(connection: Connection) -> int:
    """The last position that retention has dropped of either topic; -1 if the log is whole."""
    upto: int = await connection.fetchval("SELECT coalesce(max(to_position), -1) FROM bus.dropped")
    return upto


async def _before(connection: Connection, moment: datetime, horizon: int) -> int:
    """A position before which all was written before a moment, but for what a clock that stepped back mixed up.

    Time is no order of the log; it follows it closely enough to be searched by halves.
    """
    low, high = 0, horizon  # all up to `low` lies before
    while low < high:
        middle = (low + high + 1) // 2
        at = await connection.fetchval(
            "SELECT at FROM bus.outbox WHERE position <= $1 ORDER BY position DESC LIMIT 1", middle
        )
        if at is None or at < moment:
            low = middle
        else:
            high = middle - 1
    return low


def as_json(envelope: Envelope, epoch: int) -> str:
    """One message as one JSON object on one line; times are RFC 3339, the body is as it stands in the log."""
    # put together by hand, since this is what most of a replay's time goes into
    cause = "null" if envelope.cause is None else f'"{envelope.cause}"'
    concludes = "null" if envelope.concludes is None else f'"{envelope.concludes}"'
    revision = "null" if envelope.revision is None else envelope.revision
    return (
        f'{{"epoch": {epoch}, "position": {envelope.position}, "topic": "{envelope.topic}", '
        f'"name": {_quoted(envelope.name)}, "schema": {envelope.schema}, "stream": {_quoted(envelope.stream)}, '
        f'"revision": {revision}, "id": "{envelope.id}", "cause": {cause}, '
        f'"correlation": "{envelope.correlation}", "concludes": {concludes}, '
        f'"actor": {_quoted(envelope.actor)}, "producer": {envelope.producer}, '
        f'"at": "{envelope.at.isoformat()}", "body": {envelope.body}}}'
    )


def as_csv(envelope: Envelope, epoch: int) -> str:
    """One message as one record of CSV (RFC 4180), in the order of COLUMNS; its body is JSON in one field."""
    return csv_line(*_head(envelope, epoch), envelope.body)


def csv_line(*fields: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _head(envelope: Envelope, epoch: int) -> tuple[object, ...]:
    return (
        epoch,
        envelope.position,
        envelope.topic,
        envelope.name,
        envelope.schema,
        envelope.stream,
        envelope.revision,
        str(envelope.id),
        None if envelope.cause is None else str(envelope.cause),
        str(envelope.correlation),
        None if envelope.concludes is None else str(envelope.concludes),
        envelope.actor,
        envelope.producer,
        envelope.at.isoformat(),
    )
