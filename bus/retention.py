"""How long the log is kept: what may be dropped, what keeps it, and the dropping itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from bus.connection import Connection
from bus.errors import Refusal

TOPICS: Final = ("domain", "telemetry")
FORGET_AT_ONCE: Final = 2_000  # messages of a dropped span, in one transaction
BLOCKS_AT_ONCE: Final = 500  # of bus.accepted, in one transaction
COUNTING_TIMEOUT_S: Final = 300.0  # a span may have millions of rows
STAYS: Final = (
    asyncpg.ObjectInUseError,  # somebody needs it
    asyncpg.ObjectNotInPrerequisiteStateError,  # it is too young, or somebody else was quicker
    asyncpg.LockNotAvailableError,  # somebody is reading the log at length
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """One partition of a topic, with what stands in it."""

    topic: str
    number: int
    from_position: int
    to_position: int
    messages: int
    names: dict[str, int]  # how many messages of each name
    last_at: datetime | None  # None: it is empty


@dataclass(frozen=True, slots=True)
class Needed:
    """From where on the log is needed, and by whom."""

    position: int
    holder: str


async def declared(connection: Connection) -> dict[str, int]:
    """For how many days what is kept; what is not there is kept for ever."""
    return {row["what"]: row["days"] for row in await connection.fetch("SELECT what, days FROM bus.retention")}


async def needed_from(connection: Connection, consumers: Sequence[str]) -> Needed | None:
    """The lowest position that somebody needs. `consumers`: those that ought to exist."""
    row = await connection.fetchrow("SELECT position, holder FROM bus.log_needed_from($1)", list(consumers))
    return None if row is None else Needed(**row)


async def spans_older_than(connection: Connection, topic: str, days: int) -> list[Span]:
    """The spans of a topic, oldest first, whose last message is older than that, whoever may still need them."""
    found: list[Span] = []
    for row in await connection.fetch(
        "SELECT span, from_position, to_position FROM bus.spans_of($1) WHERE to_position < bus.horizon()", topic
    ):
        async with _unhurried(connection):
            contents = await connection.fetchrow(
                """
                SELECT messages, names, last_at, last_at >= clock_timestamp() - make_interval(days => $3) AS young
                FROM bus.span_contents($1, $2)
                """,
                topic,
                row["span"],
                days,
                timeout=COUNTING_TIMEOUT_S,
            )
        assert contents is not None
        if contents["young"]:
            break
        names = json.loads(contents["names"])
        found.append(
            Span(
                topic=topic,
                number=row["span"],
                from_position=row["from_position"],
                to_position=row["to_position"],
                messages=contents["messages"],
                names=names,
                last_at=contents["last_at"],
            )
        )
    return found


async def drop_oldest(connection: Connection, topic: str, consumers: Sequence[str]) -> str | None:
    """Takes the oldest span of a topic out of the log if it may go; None if it went, else why it stays."""
    span = await connection.fetchval("SELECT span FROM bus.spans_of($1) LIMIT 1", topic)
    try:
        async with _unhurried(connection):
            await connection.execute(
                "SELECT bus.drop_span($1, $2, $3)", topic, span, list(consumers), timeout=COUNTING_TIMEOUT_S
            )
    except STAYS as stays:
        return str(stays)
    log.warning("log.dropped", topic=topic, span=span)
    return None


async def forget_dropped(connection: Connection) -> int:
    """Forgets what was taken out of the log, with its outcomes and keys; returns how many spans are gone for good."""
    dropped = await connection.fetch("SELECT topic, span FROM bus.spans_to_forget()")
    for row in dropped:
        upto: int | None = -1
        while upto is not None:
            upto = await connection.fetchval(
                "SELECT bus.forget_span($1, $2, $3, $4)", row["topic"], row["span"], upto, FORGET_AT_ONCE
            )
    return len(dropped)


async def rotate_keys(connection: Connection) -> int:
    """Forgets the idempotency keys whose time is over; returns how many."""
    blocks = await connection.fetchval("SELECT bus.accepted_blocks()")
    forgotten = 0
    for block in range(0, blocks, BLOCKS_AT_ONCE):
        forgotten += await connection.fetchval("SELECT bus.rotate_accepted($1, $2)", block, BLOCKS_AT_ONCE)
    return forgotten


async def must_have_all(connection: Connection, names: Sequence[str]) -> None:
    """Raises a Refusal if messages of these names were dropped; none is dropped until the transaction ends.

    It must come first in its transaction: a snapshot from before could tell neither the messages nor that they went.
    """
    await connection.execute("LOCK TABLE bus.outbox IN ACCESS SHARE MODE")
    row = await connection.fetchrow(
        """
        SELECT string_agg(DISTINCT n.name, ', ' ORDER BY n.name) AS names, max(d.to_position) AS upto
        FROM bus.dropped AS d CROSS JOIN LATERAL jsonb_object_keys(d.names) AS n (name)
        WHERE n.name = ANY ($1::text[])
        """,
        list(names),
    )
    assert row is not None
    if row["names"] is not None:
        raise Refusal(
            f"The log up to position {row['upto']} was dropped, as its retention says, and with it {row['names']}."
        )


@asynccontextmanager
async def _unhurried(connection: Connection) -> AsyncIterator[None]:
    """A transaction that may take its time."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '{COUNTING_TIMEOUT_S:.0f}s'")
        await connection.execute(f"SET LOCAL transaction_timeout = '{COUNTING_TIMEOUT_S + 10:.0f}s'")
        yield
