"""How far each journal segment is drained, in a table that all gateways share."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from bus.connection import Connection
from gateway.tracking.spool import Item


async def drained(connection: Connection, segments: Sequence[UUID]) -> dict[UUID, int]:
    """How many entries of these are in the log, from each one's beginning."""
    rows = await connection.fetch(
        "SELECT segment, drained FROM tracking.journal_segment WHERE segment = ANY ($1)", segments
    )
    return {row["segment"]: row["drained"] for row in rows}


async def move(connection: Connection, items: Sequence[Item]) -> list[Item]:
    """Says that these are drained, with the transaction's COMMIT; returns those that were not before."""
    ends = {item.place.segment: item.place.entry + 1 for item in items}
    await connection.execute(
        """
        INSERT INTO tracking.journal_segment (segment, drained)
        SELECT s, 0 FROM unnest($1::uuid[]) AS s ORDER BY s ON CONFLICT DO NOTHING
        """,
        list(ends),
    )
    rows = await connection.fetch(
        """
        SELECT segment, drained FROM tracking.journal_segment WHERE segment = ANY ($1) ORDER BY segment FOR UPDATE
        """,
        list(ends),
    )
    before = {row["segment"]: row["drained"] for row in rows}
    await connection.execute(
        """
        UPDATE tracking.journal_segment AS j SET drained = greatest(j.drained, n.drained)
        FROM unnest($1::uuid[], $2::bigint[]) AS n (segment, drained) WHERE j.segment = n.segment
        """,
        list(ends),
        list(ends.values()),
    )
    return [item for item in items if item.place.entry >= before[item.place.segment]]


async def forget(connection: Connection, segments: Sequence[UUID]) -> None:
    """These are no more."""
    if segments:
        await connection.execute("DELETE FROM tracking.journal_segment WHERE segment = ANY ($1)", segments)
