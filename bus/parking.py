"""Streams whose message could not be handled yet: where they stand, and how they go on."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from bus.connection import Connection
from bus.errors import Blocked
from bus.message import Envelope
from bus.reading import MESSAGE_COLUMNS

ERROR_LENGTH: Final = 4000
DRAIN_AT_ONCE: Final = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parked:
    """A stream's place in bus.parked."""

    stream: str
    head: int
    last: int
    attempts: int
    give_up: bool  # a person wants the head given up


def cause_of(error: BaseException) -> str:
    """What failures are grouped by: the exception's type and the place that raised it, or what a message waits for."""
    if isinstance(error, Blocked):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else "unknown"
    return f"{type(error).__name__} in {place}"


def described(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-ERROR_LENGTH:].replace("\x00", "\\0")


async def streams(connection: Connection, consumer: str, partitions: int) -> set[str]:
    """The streams in these partitions that wait."""
    rows = await connection.fetch(
        "SELECT stream FROM bus.parked WHERE consumer = $1 AND bus.is_in(stream, $2)", consumer, partitions
    )
    return {row["stream"] for row in rows}


async def due(connection: Connection, consumer: str, partitions: int) -> list[Parked]:
    rows = await connection.fetch(
        """
        SELECT stream, head, last, attempts, give_up FROM bus.parked
        WHERE consumer = $1 AND NOT held AND retry_at <= clock_timestamp() AND bus.is_in(stream, $2)
        ORDER BY retry_at LIMIT 20
        """,
        consumer,
        partitions,
    )
    return [Parked(**row) for row in rows]


async def next_retry_s(connection: Connection, consumer: str, partitions: int) -> float | None:
    """Seconds until the next parked stream of these partitions is due; None if none waits."""
    seconds = await connection.fetchval(
        """
        SELECT extract(epoch FROM min(retry_at) - clock_timestamp())::float8 FROM bus.parked
        WHERE consumer = $1 AND NOT held AND retry_at < 'infinity' AND bus.is_in(stream, $2)
        """,
        consumer,
        partitions,
    )
    return None if seconds is None else max(0.0, seconds)


async def park(
    connection: Connection,
    consumer: str,
    envelope: Envelope,
    error: BaseException,
    *,
    attempts: int,
    after_s: float | None,
) -> None:
    await connection.execute(
        """
        INSERT INTO bus.parked (consumer, stream, head, last, attempts, retry_at, cause, error)
        VALUES ($1, $2, $3, $3, $4, coalesce(clock_timestamp() + make_interval(secs => $5), 'infinity'), $6, $7)
        """,
        consumer,
        envelope.stream,
        envelope.position,
        attempts,
        after_s,
        cause_of(error),
        described(error),
    )


async def let_wait(connection: Connection, consumer: str, envelopes: Sequence[Envelope]) -> None:
    """Notes that these messages wait behind the heads of their streams."""
    await connection.executemany(
        "UPDATE bus.parked SET last = greatest(last, $3) WHERE consumer = $1 AND stream = $2",
        [(consumer, one.stream, one.position) for one in envelopes],
    )


async def waiting(
    connection: Connection, consumer: str, parked: Parked, topics: Sequence[str], names: Sequence[str], own: str
) -> list[Envelope]:
    """The messages of a parked stream from its head on, in order; those given up on the way are left out."""
    rows = await connection.fetch(
        f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox AS o
        WHERE topic = ANY ($1::bus.topic[]) AND stream = $2 AND position BETWEEN $3 AND $4
          AND (name = ANY ($5::text[]) OR revision IS NULL AND topic = 'domain' AND starts_with(name, $7::text || '.'))
          AND NOT EXISTS (SELECT FROM bus.dead_letter AS d WHERE d.consumer = $6 AND d.position = o.position)
        ORDER BY position LIMIT {DRAIN_AT_ONCE}
        """,  # noqa: S608 - constants of this package
        topics,
        parked.stream,
        parked.head,
        parked.last,
        names,
        consumer,
        own,
    )
    return [Envelope(*row) for row in rows]


async def begin_attempt(connection: Connection, consumer: str, envelope: Envelope) -> int:
    """Counts a try before it is made; returns the count. A new head begins at one."""
    count: int = await connection.fetchval(
        """
        UPDATE bus.parked SET attempts = CASE WHEN head = $3 THEN attempts + 1 ELSE 1 END, head = $3
        WHERE consumer = $1 AND stream = $2 RETURNING attempts
        """,
        consumer,
        envelope.stream,
        envelope.position,
    )
    return count


async def move_on(connection: Connection, consumer: str, envelope: Envelope) -> bool:
    """The head is done: the stream goes on behind it, or, if nothing waits there, is parked no more (True)."""
    gone = await connection.fetchval(
        "DELETE FROM bus.parked WHERE consumer = $1 AND stream = $2 AND last = $3 RETURNING true",
        consumer,
        envelope.stream,
        envelope.position,
    )
    if gone:
        return True
    await connection.execute(
        """
        UPDATE bus.parked SET head = $3 + 1, attempts = 0, give_up = false, retry_at = clock_timestamp()
        WHERE consumer = $1 AND stream = $2
        """,
        consumer,
        envelope.stream,
        envelope.position,
    )
    return False


async def forget(connection: Connection, consumer: str, stream: str) -> None:
    """Nothing of the stream waits any more."""
    await connection.execute("DELETE FROM bus.parked WHERE consumer = $1 AND stream = $2", consumer, stream)


async def try_later(
    connection: Connection,
    consumer: str,
    envelope: Envelope,
    error: BaseException,
    *,
    after_s: float | None,
    uncount: bool,
) -> None:
    await connection.execute(
        """
        UPDATE bus.parked
        SET retry_at = coalesce(clock_timestamp() + make_interval(secs => $3), 'infinity'), cause = $4, error = $5,
            attempts = attempts - CASE WHEN $6 THEN 1 ELSE 0 END
        WHERE consumer = $1 AND stream = $2
        """,
        consumer,
        envelope.stream,
        after_s,
        cause_of(error),
        described(error),
        uncount,
    )


async def wait_for(connection: Connection, consumer: str, envelope: Envelope, blocked: Blocked) -> None:
    """A parked stream has come to a message that may not be attempted now: it becomes the head, untried."""
    await connection.execute(
        """
        UPDATE bus.parked SET retry_at = 'infinity', cause = $4, error = $4,
               attempts = CASE WHEN head = $3 THEN attempts ELSE 0 END, head = $3
        WHERE consumer = $1 AND stream = $2
        """,
        consumer,
        envelope.stream,
        envelope.position,
        str(blocked),
    )


async def release(connection: Connection, consumer: str, causes: Collection[str], partitions: int) -> None:
    """Lets every stream of these partitions go on that was blocked for another cause than these, still in force."""
    await connection.execute(
        """
        UPDATE bus.parked SET retry_at = clock_timestamp()
        WHERE consumer = $1 AND retry_at = 'infinity' AND NOT held AND cause <> ALL ($2::text[])
          AND bus.is_in(stream, $3)
        """,
        consumer,
        causes,
        partitions,
    )


async def release_first(connection: Connection, consumer: str, cause: str, partitions: int) -> None:
    """Lets the oldest message of these partitions that is blocked for this cause be tried."""
    await connection.execute(
        """
        UPDATE bus.parked SET retry_at = clock_timestamp()
        WHERE consumer = $1 AND retry_at = 'infinity' AND (stream, head) = (
            SELECT stream, head FROM bus.parked
            WHERE consumer = $1 AND retry_at = 'infinity' AND NOT held AND cause = $2 AND bus.is_in(stream, $3)
            ORDER BY head LIMIT 1)
        """,
        consumer,
        cause,
        partitions,
    )


async def hold(connection: Connection, consumer: str, envelope: Envelope) -> None:
    """The stream waits for a person."""
    await connection.execute(
        "UPDATE bus.parked SET held = true WHERE consumer = $1 AND stream = $2", consumer, envelope.stream
    )


async def bury(
    connection: Connection,
    consumer: str,
    envelope: Envelope,
    error: BaseException,
    *,
    attempts: int,
    by_hand: bool = False,
) -> None:
    """Keeps a message as a dead letter, for a person to look at; `by_hand`, one has done so."""
    await connection.execute(
        """
        INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (consumer, position) DO UPDATE
        SET attempts = excluded.attempts, cause = excluded.cause, error = excluded.error, state = excluded.state
        """,
        consumer,
        envelope.position,
        envelope.stream,
        envelope.name,
        attempts,
        cause_of(error),
        described(error),
        "discarded" if by_hand else "dead",
    )
    log.error("message.dead", consumer=consumer, position=envelope.position, name=envelope.name, error=repr(error))
