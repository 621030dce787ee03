"""How a service says what it hears, decides, applies and says: one table, made by its `service()` function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

from bus.answers import CommandFailed, CommandRejected
from bus.connection import Connection
from bus.message import Catalogue, Command, Event, Message

DEFAULT_ATTEMPTS: Final = 8


class Given(NamedTuple):
    """What a decision may know besides its state and its message. Pure decisions take the time from here."""

    at: datetime  # the database's clock when the batch began
    id: UUID  # the message's id; what a command creates bears it
    correlation: UUID
    actor: str
    appended_at: datetime | None = None  # when the message came into the log; none: at this very moment
    answer: Any = None  # of what the handler depends on, if it does

    @property
    def asked_at(self) -> datetime:
        """When this was asked, however long it waited to be decided."""
        return self.appended_at or self.at

    @property
    def person(self) -> UUID | None:
        """The person on whose authority this is asked, if it is one."""
        kind, _, key = self.actor.partition(":")
        return UUID(key) if kind == "person" else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Ask oneself something at a later time. A second one with the same key replaces the first."""

    key: str
    due_at: datetime
    command: Command


@dataclass(frozen=True, slots=True)
class Unschedule:
    """Forget what was scheduled under this key, if it has not gone out yet."""

    key: str


Effect = Event | Schedule | Unschedule
"""What a decision may lead to. Its own events are applied to the service's tables and appended."""

Apply = Callable[[Connection, Any], Awaitable[None]]
"""Writes what one event (or, for `ApplyMany`, a run of equal events) means to the tables; uses the event alone."""


class AfterLastAttempt(Enum):
    """What happens to a stream whose message still fails after its last attempt."""

    HOLD = "hold"  # the stream waits for a person
    SKIP = "skip"  # the message becomes a dead letter and the stream goes on


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a handler needs of the world outside of the database: a payment provider, say.

    It is asked before the handler's transaction, with the message's id (`given.id`) as the key under which the same
    thing asked twice is done once; the decision finds the answer in `given.answer`. Rebuilds and replays never ask it.
    When `opens_at` of its last calls failed, its circuit opens: its messages wait, unattempted and uncounted, until one
    of them finds it well again.
    """

    circuit: str  # handlers that name the same share it
    ask: Callable[[Any, Given], Awaitable[Any]]
    within_s: float = 10.0
    opens_at: float = 0.5  # the share of failed calls
    of_last: int = 20
    at_least: int = 5  # calls, before it can open
    first_s: float = 5.0  # open, before the first probe; twice as long after each that failed
    longest_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Hears:
    """One row of a service's table: on this message, load this state, and decide.

    `load(connection, message)` reads what the decision needs (and locks what it contends for);
    `decide(state, message, given)` is pure and answers with effects, or raises Rejected.
    With `batch`, both take the whole run of equal messages instead of one: `load(connection, received)`,
    `decide(state, received, given)`.
    """

    message: type[Message]
    load: Callable[[Connection, Any], Awaitable[Any]] | None = None
    decide: Callable[[Any, Any, Given], Sequence[Effect]] | None = None
    batch: bool = False
    leaves_open: bool = False  # the command is answered by a later event, which names it (`concludes`, `rejects`)
    attempts: int = DEFAULT_ATTEMPTS
    after_last: AfterLastAttempt = AfterLastAttempt.SKIP
    depends: Dependency | None = None  # not with `batch`: its messages are handled one by one

    def __post_init__(self) -> None:
        if self.batch and self.depends is not None:
            raise ValueError(f"{self.message.name} depends on {self.depends.circuit}, and is handled one by one")


@dataclass(frozen=True, slots=True)
class ApplyMany:
    """An `Apply` that takes a whole run of equal events at once, in order."""

    apply: Callable[[Connection, Sequence[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outside:
    """Work with effects outside the database. Everything else a service does is in the database alone.

    `run(office)` does it until it is cancelled, in one process at a time; it begins with what the tables say is to be
    done, and says by messages what came of it. Neither a replay nor a rebuild runs it.
    """

    name: str
    run: Callable[[Any], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """A service's table of contents."""

    name: str
    hears: Sequence[Hears]
    says: Sequence[type[Event]]
    applies: Mapping[type[Event], Apply | ApplyMany]
    rejected_as: type[CommandRejected]
    failed_as: type[CommandFailed]
    asks_itself: Sequence[type[Command]] = ()  # what it schedules
    kept_tables: frozenset[str] = field(default_factory=frozenset)  # not derived from events; a rebuild leaves them
    outside: Sequence[Outside] = ()

    @property
    def role(self) -> str:
        return f"firingline_{self.name}"

    @property
    def own(self) -> str:
        """Whose commands it must not pass over: a consumer's name is the service's, and may go on after a slash."""
        return self.name.partition("/")[0]

    @property
    def may_append(self) -> list[str]:
        says = (*self.says, *self.asks_itself, self.rejected_as, self.failed_as)
        return sorted({message.name for message in says})

    @property
    def catalogue(self) -> Catalogue:
        """What it reads from the log: what it hears, and what others say that it applies."""
        return Catalogue({*(row.message for row in self.hears), *self.projects})

    @property
    def projects(self) -> set[type[Event]]:
        """The events of others that it applies to its tables; its own are applied when it says them."""
        return set(self.applies) - set(self.says)

    @property
    def topics(self) -> list[str]:
        """Which topics of the log it reads."""
        return sorted({message.topic for message in (*(row.message for row in self.hears), *self.applies)})

    def row(self, message: type[Message]) -> Hears | None:
        return next((row for row in self.hears if row.message is message), None)
