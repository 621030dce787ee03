"""Reading the log in order, up to its horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bus.connection import Connection
from bus.message import Envelope
from bus.partitions import ALL

MESSAGE_COLUMNS = """position, topic, partition, schema, producer, id, cause, correlation, concludes, revision, at,
    name, stream, actor, body"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages after a cursor, and how far the log is settled and covered by them."""

    messages: list[Envelope]
    covered: int  # nothing of what was asked for lies between the cursor and here but `messages`
    behind: bool  # more is to be had at once
    unsettled: bool  # something above may still appear, without a ring
    at: datetime  # the database's clock


async def read(
    connection: Connection,
    after: int,
    topics: Sequence[str],
    names: Sequence[str] | None,
    most: int,
    *,
    partitions: int = ALL,
    upto: int | None = None,
    own: str | None = None,
) -> Batch:
    """The next messages of these names in these partitions, and all commands to the service `own`; none after `upto`.

    Must not run inside a transaction that is not READ COMMITTED.
    """
    rows = await connection.fetch(
        "SELECT * FROM bus.read($1, $2::bus.topic[], $3::text[], $4, $5, $6, $7)",
        after,
        topics,
        names,
        most,
        partitions,
        upto,
        own,
    )
    trailer = rows.pop()
    messages = [Envelope(*row) for row in rows]
    full = len(messages) == most
    covered: int = trailer["position"]
    behind = full or trailer["schema"] == 1
    return Batch(
        messages=messages,
        covered=messages[-1].position if full else covered,
        behind=behind,
        unsettled=not behind and trailer["revision"] > covered,
        at=trailer["at"],
    )
