"""`firingline trace`: one story from the log, as a tree of what led to what, with the time that each step took."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import click
from rich.console import Console
from rich.text import Text

from bus.connection import Connection
from bus.errors import Refusal
from ops.database import connected
from ops.settings import Settings

MOST: Final = 5_000
LONGEST_IN_GATEWAY: Final = timedelta(minutes=1)  # a longer difference tells of clocks that disagree
UUID7: Final = 7
HOW_MEASURED: Final = (
    "Times are the database's clock as it wrote each message, just before COMMIT: what stands after a + is its cause's "
    "commit, the bell, the queue and the service's own work together. A command's time in the gateway begins with its "
    "id, by the gateway's clock."
)
STYLES: Final = {"done": "green", "rejected": "yellow", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the log, and what is known of its end if it is a command."""

    position: int
    id: UUID
    cause: UUID | None
    correlation: UUID
    concludes: UUID | None
    revision: int | None
    at: datetime
    name: str
    stream: str
    actor: str
    writer: str  # who appended it, as the database saw it
    status: str | None  # how it ended
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """A message in its place in the tree."""

    message: Message
    depth: int
    last: tuple[bool, ...]  # at each depth down to its own, whether no sibling follows
    since_cause: timedelta | None  # or, for a command of the gateway's, since the gateway took it
    since_start: timedelta


def steps(messages: Sequence[Message]) -> Iterator[Step]:
    """A story's messages in the order of a walk through its tree: causes before effects, siblings as in the log."""
    known = {one.id: one for one in messages}
    effects: defaultdict[UUID | None, list[Message]] = defaultdict(list)
    for one in sorted(messages, key=lambda message: message.position):
        effects[one.cause if one.cause in known else None].append(one)
    if not messages:
        return
    start = min(one.at for one in messages)
    stack = _as_steps(effects[None], (), known, start)
    while stack:
        step = stack.pop()
        yield step
        stack += _as_steps(effects[step.message.id], step.last, known, start)


def _as_steps(
    siblings: Sequence[Message], above: tuple[bool, ...], known: dict[UUID, Message], start: datetime
) -> list[Step]:
    """Siblings as a stack: the first on top."""
    made = [
        Step(one, len(above), (*above, index == len(siblings) - 1), _since_cause(one, known), one.at - start)
        for index, one in enumerate(siblings)
    ]
    return made[::-1]


def _since_cause(message: Message, known: dict[UUID, Message]) -> timedelta | None:
    if message.cause is not None:
        cause = known.get(message.cause)
        return None if cause is None else message.at - cause.at
    if message.id.version != UUID7 or message.writer != "gateway":
        return None
    taken = datetime.fromtimestamp((message.id.int >> 80) / 1000, UTC)
    return message.at - taken if timedelta(0) <= message.at - taken < LONGEST_IN_GATEWAY else None


@click.command
@click.argument("id_", metavar="ID", type=click.UUID)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead, times in milliseconds.")
def trace(id_: UUID, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Print the whole story that a message belongs to: what led to what, and how long each step took.

    ID is that of a command (a booking's, an invoice's), of any message, or of the story (its correlation). It reads
    the log with the analyst's role and changes nothing. What a service has set aside because it failed is not in the
    log: see `firingline deadletters list`.
    """
    messages = asyncio.run(_story(Settings.from_environment().dsn("analyst"), id_))
    if not messages:
        raise Refusal(f"No message in the log has the id {id_}, or belongs to such a story.")
    if as_json:
        told = {"correlation": str(messages[0].correlation), "steps": [_as_json(step) for step in steps(messages)]}
        click.echo(json.dumps(told, indent=2))
        return
    console = Console(highlight=False)
    for step in steps(messages):
        console.print(_line(step, id_), soft_wrap=True)
    if len(messages) == MOST:
        console.print(f"The story is longer: these are its first {MOST:,} messages.")
    console.print(Text(f"\n{HOW_MEASURED}", style="dim"))


async def _story(dsn: str, id_: UUID) -> list[Message]:
    async with connected(dsn) as connection:
        return await _of_story(connection, id_) or await _of_story(connection, await _story_of(connection, id_))


async def _story_of(connection: Connection, id_: UUID) -> UUID | None:
    """The story of one message; the log has no index on ids, so this reads all of it once."""
    story: UUID | None = await connection.fetchval("SELECT correlation FROM bus.outbox WHERE id = $1 LIMIT 1", id_)
    return story


async def _of_story(connection: Connection, correlation: UUID | None) -> list[Message]:
    """A story's messages; those of targets are stories of their own, and not looked through for others."""
    rows = await connection.fetch(
        """
        SELECT o.position, o.id, o.cause, o.correlation, o.concludes, o.revision, o.at, o.name, o.stream, o.actor,
               replace(p.role, 'firingline_', '') AS writer, u.status, u.at AS ended_at
        FROM bus.outbox AS o
        JOIN bus.producer AS p ON p.id = o.producer
        LEFT JOIN bus.outcome AS u ON u.command = o.id
        WHERE o.correlation = $1 AND (o.topic = 'domain' OR o.id = $1)
        ORDER BY o.position LIMIT $2
        """,
        correlation,
        MOST,
    )
    return [Message(**row) for row in rows]


def _line(step: Step, asked: UUID) -> Text:
    message = step.message
    branches = "".join("   " if last else "│  " for last in step.last[1:-1])
    joint = "" if step.depth == 0 else "└─ " if step.last[-1] else "├─ "
    text = Text(f"{_ms(step.since_start):>12}  ", style="dim")
    text.append(branches + joint)
    text.append(message.name, style="bold reverse" if message.id == asked else "bold")
    text.append(f"  {message.stream}", style="cyan")
    if step.since_cause is not None:
        text.append(f"  {'in the gateway ' if message.cause is None else '+'}{_ms(step.since_cause)}")
    text.append(f"  {message.writer} at {message.position}", style="dim")
    if message.status is not None and message.ended_at is not None:
        text.append(f"  {message.status} after {_ms(message.ended_at - message.at)}", style=STYLES[message.status])
    elif message.revision is None:
        text.append("  no outcome yet", style="magenta")
    return text


def _ms(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds * 1000:,.1f} ms" if abs(seconds) < 10 else f"{seconds:,.1f} s"


def _as_json(step: Step) -> dict[str, object]:
    message = step.message
    ended_after = None if message.ended_at is None else message.ended_at - message.at
    return {
        "position": message.position,
        "depth": step.depth,
        "id": str(message.id),
        "cause": None if message.cause is None else str(message.cause),
        "name": message.name,
        "stream": message.stream,
        "actor": message.actor,
        "writer": message.writer,
        "at": message.at.isoformat(),
        "since_start_ms": step.since_start / timedelta(milliseconds=1),
        "since_cause_ms": None
        if step.since_cause is None or message.cause is None
        else step.since_cause / timedelta(milliseconds=1),
        "in_gateway_ms": None
        if step.since_cause is None or message.cause is not None
        else step.since_cause / timedelta(milliseconds=1),
        "outcome": message.status,
        "outcome_after_ms": None if ended_after is None else ended_after / timedelta(milliseconds=1),
    }
