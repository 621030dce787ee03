"""What a person sees and does of messages that could not be handled: dead letters, and streams that wait.

Each statement sees one service's rows, whichever role's connection it is given: the rows belong to the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from bus.connection import Connection
from bus.message import Envelope
from bus.reading import MESSAGE_COLUMNS

State = Literal["dead", "requeued", "discarded", "parked", "held", "blocked"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: all conditions that are given must hold."""

    positions: tuple[int, ...] = ()
    stream: str | None = None
    cause: str | None = None  # a part of it

    def __bool__(self) -> bool:
        return bool(self.positions or self.stream or self.cause)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that could not be handled: given up, or at the head of a stream that waits for it."""

    consumer: str
    position: int
    last: int  # up to where its stream waits behind it; its own position if the stream went on
    stream: str
    name: str
    state: State
    attempts: int
    cause: str
    error: str
    answered: str | None  # how its sender was told that it ended, if it is a command
    at: datetime  # when it died, or is tried again

    @property
    def waits(self) -> bool:
        return self.state in {"parked", "held", "blocked"}


Action = Literal["requeue", "discard"]
MOVABLE: Final[Mapping[Action, frozenset[State]]] = {
    "requeue": frozenset({"dead", "held", "parked", "blocked"}),
    "discard": frozenset({"dead", "requeued", "held"}),
}


def movable(found: Sequence[Letter], action: Action, *, named: bool) -> tuple[list[Letter], list[Letter]]:
    """Those that an action is for, and those that it leaves alone.

    What was discarded is meant only if it is `named` by its position; a dead command whose sender was told that it
    failed is not tried again.
    """
    states = MOVABLE[action] | ({"discarded"} if named else set())
    may = [
        one
        for one in found
        if one.state in states and not (action == "requeue" and one.answered is not None and not one.waits)
    ]
    return may, [one for one in found if one not in may and one.state != "discarded"]


async def find(connection: Connection, consumer: str, wanted: Wanted) -> list[Letter]:
    """A consumer's dead letters and the heads of its waiting streams, in the order of the log."""
    rows = await connection.fetch(
        """
        SELECT w.consumer, coalesce(o.position, w.position) AS position, w.last, w.stream,
               coalesce(w.name, o.name, '?') AS name, w.state, w.attempts, w.cause, w.error, u.status AS answered, w.at
        FROM (
            SELECT d.consumer, d.position, d.position AS last, d.stream, d.name, d.state, d.attempts, d.cause, d.error,
                   d.at
            FROM bus.dead_letter AS d WHERE d.consumer = $1
            UNION ALL
            SELECT p.consumer, p.head, p.last, p.stream, NULL,
                   CASE WHEN p.held THEN 'held' WHEN p.retry_at = 'infinity' THEN 'blocked' ELSE 'parked' END,
                   p.attempts, p.cause, p.error, p.retry_at
            FROM bus.parked AS p WHERE p.consumer = $1
        ) AS w
        LEFT JOIN bus.outbox AS o ON o.position = w.position
        LEFT JOIN bus.outcome AS u ON u.command = o.id
        WHERE ($2::bigint[] = '{}' OR w.position = ANY ($2))
          AND ($3::text IS NULL OR w.stream = $3)
          AND ($4::text IS NULL OR strpos(w.cause, $4) > 0)
        ORDER BY w.position
        """,
        consumer,
        list(wanted.positions),
        wanted.stream,
        wanted.cause,
    )
    return [Letter(**row) for row in rows]


async def message_of(connection: Connection, letter: Letter) -> Envelope | None:
    row = await connection.fetchrow(
        f"SELECT {MESSAGE_COLUMNS} FROM bus.outbox WHERE position = $1",  # noqa: S608 - constants of this package
        letter.position,
    )
    return None if row is None else Envelope(*row)


async def requeue(connection: Connection, consumer: str, letters: Sequence[Letter]) -> list[int]:
    """Has these tried again by the running consumer; returns the positions that will be.

    A dead command whose sender was told that it failed is left alone: a command has one outcome.
    """
    dead = await connection.fetch(
        """
        UPDATE bus.dead_letter AS d SET state = 'requeued'
        WHERE d.consumer = $1 AND d.position = ANY ($2::bigint[]) AND d.state <> 'requeued'
          AND EXISTS (
              SELECT FROM bus.outbox AS o WHERE o.position = d.position
              AND NOT EXISTS (SELECT FROM bus.outcome AS u WHERE u.command = o.id))
        RETURNING d.position
        """,
        consumer,
        [one.position for one in letters if not one.waits],
    )
    waiting = await connection.fetch(
        """
        UPDATE bus.parked AS p SET held = false, attempts = 0, retry_at = clock_timestamp()
        FROM unnest($2::text[], $3::bigint[]) AS w (stream, head)
        WHERE p.consumer = $1 AND p.stream = w.stream AND p.head = w.head
        RETURNING p.head AS position
        """,
        consumer,
        [one.stream for one in letters if one.waits],
        [one.position for one in letters if one.waits],
    )
    return sorted(row["position"] for row in (*dead, *waiting))


async def discard(connection: Connection, consumer: str, letters: Sequence[Letter]) -> list[int]:
    """Gives these up for good; returns the positions that are.

    A held stream's head is given up by the running consumer, which tells a command's sender; what waits behind goes on.
    """
    dead = await connection.fetch(
        """
        UPDATE bus.dead_letter SET state = 'discarded'
        WHERE consumer = $1 AND position = ANY ($2::bigint[]) AND state <> 'discarded'
        RETURNING position
        """,
        consumer,
        [one.position for one in letters if not one.waits],
    )
    waiting = await connection.fetch(
        """
        UPDATE bus.parked AS p SET give_up = true, held = false, retry_at = clock_timestamp()
        FROM unnest($2::text[], $3::bigint[]) AS w (stream, head)
        WHERE p.consumer = $1 AND p.stream = w.stream AND p.head = w.head AND p.held
        RETURNING p.head AS position
        """,
        consumer,
        [one.stream for one in letters if one.state == "held"],
        [one.position for one in letters if one.state == "held"],
    )
    return sorted(row["position"] for row in (*dead, *waiting))
