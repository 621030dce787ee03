"""Dead letters for operators: the same as `firingline deadletters`, for admins, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter, model_validator

from bus import dead_letters
from bus.connection import ACQUIRE_TIMEOUT_S, Connection
from bus.dead_letters import Letter, State, Wanted
from gateway.answers import json_response
from gateway.body import Body, parse, read
from gateway.health import SERVICES
from gateway.problems import NOT_FOUND, Problem
from gateway.queries import Query, must_have_none, read_query, written_as
from gateway.routing import Documented, Visit

SHOWN_OF_A_GROUP: Final = 8
MOST_POSITIONS: Final = 1_000
JSON: Final = TypeAdapter(JsonValue)

ServiceName = Literal["auth", "booking", "armory", "payment", "stats"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Place = Annotated[int, Field(ge=1, le=2**62)]

log = structlog.get_logger(__name__)


class LettersQuery(Query):
    """Which dead letters; all conditions that are given must hold."""

    service: ServiceName | None = None
    stream: Text | None = None
    cause: Text | None = Field(default=None, description="A part of it, like `KeyError`.")
    discarded: Annotated[bool, written_as("true|false", "must be `true` or `false`")] = Field(
        default=False, description="Those given up for good, too."
    )


class LetterSummary(BaseModel):
    """A message that could not be handled."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    consumer: str
    position: int
    last: int = Field(description="Up to where its stream waits behind it; its own position if the stream went on.")
    stream: str
    name: str
    state: State
    attempts: int
    cause: str
    answered: str | None = Field(description="How its sender was told that it ended, if it is a command.")
    at: datetime | None = Field(description="When it died, or is tried again; null: when what it waits for has ended.")


class LetterGroup(BaseModel):
    """Those of one service, in one state, with one cause."""

    model_config = ConfigDict(frozen=True)

    service: str
    state: State
    cause: str
    number: int
    upto: int = Field(description="The last one's position.")
    letters: Sequence[LetterSummary] = Field(description=f"The first {SHOWN_OF_A_GROUP}.")


class LetterGroups(BaseModel):
    """All of them, by what went wrong."""

    model_config = ConfigDict(frozen=True)

    groups: Sequence[LetterGroup]


class LetterMessage(BaseModel):
    """The message as it stands in the log."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    at: datetime
    actor: str
    correlation: UUID
    body: JsonValue


class LetterShown(LetterSummary):
    """One of them, with the message and the error in full."""

    error: str
    message: LetterMessage | None = Field(description="Null: it is no longer in the log.")


class Selected(Body):
    """Which of them; all conditions that are given must hold, and one must be given."""

    service: ServiceName | None = None
    positions: Annotated[tuple[Place, ...], Field(max_length=MOST_POSITIONS, strict=False)] = ()
    stream: Text | None = None
    cause: Text | None = None
    everything: bool = False
    dry_run: bool = Field(default=False, description="Say what would be done, and do nothing.")

    @model_validator(mode="after")
    def _must_select(self) -> Self:
        if not (self.service or self.positions or self.stream or self.cause or self.everything):
            raise ValueError("must say which: `service`, `positions`, `stream`, `cause` or `everything`")
        return self

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.positions, self.stream, self.cause)


class Moved(BaseModel):
    """What became of those that were selected."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    moved: Sequence[LetterSummary]
    left_alone: Sequence[LetterSummary]


Move = Callable[[Connection, str, Sequence[Letter]], Awaitable[list[int]]]
MOVES: Final[dict[dead_letters.Action, Move]] = {"requeue": dead_letters.requeue, "discard": dead_letters.discard}


@dataclass(frozen=True, slots=True)
class ListsLetters:
    """Lists them by service, state and cause."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        query = read_query(LettersQuery, visit.request)
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            found = await _find(connection, query.service, Wanted((), query.stream, query.cause))
        shown = sorted((one for one in found if query.discarded or one.state != "discarded"), key=_group)
        groups = []
        for (service, state, cause), members in groupby(shown, _group):
            letters = list(members)
            groups.append(
                LetterGroup(
                    service=service,
                    state=state,
                    cause=cause,
                    number=len(letters),
                    upto=letters[-1].position,
                    letters=[summary(one) for one in letters[:SHOWN_OF_A_GROUP]],
                )
            )
        return json_response(LetterGroups(groups=groups))

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="List what could not be handled: dead, put back, held, parked or blocked, by cause.",
            query=LettersQuery,
            answers={200: LetterGroups},
        )


@dataclass(frozen=True, slots=True)
class ShowsLetter:
    """Shows one with its message and its error."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            found = await dead_letters.find(connection, visit.path["service"], Wanted((visit.path["position"],)))
            if not found:
                raise Problem(NOT_FOUND)
            [letter] = found
            envelope = await dead_letters.message_of(connection, letter)
        message = None
        if envelope is not None:
            message = LetterMessage(
                id=envelope.id,
                at=envelope.at,
                actor=envelope.actor,
                correlation=envelope.correlation,
                body=JSON.validate_json(envelope.body),
            )
        return json_response(LetterShown(**summary(letter).model_dump(), error=letter.error, message=message))

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Show one message that could not be handled, and the error in full.", answers={200: LetterShown}
        )


@dataclass(frozen=True, slots=True)
class MovesLetters:
    """Has those selected tried again, or gives them up; the running services do it within a second."""

    deadline_s: ClassVar[float | None] = 30.0

    action: dead_letters.Action
    summary: str

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        selected = parse(Selected, await read(visit.request))
        moved: list[Letter] = []
        left: list[Letter] = []
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            found = await _find(connection, selected.service, selected.wanted)
            may, left = dead_letters.movable(found, self.action, named=bool(selected.positions))
            for service, members in groupby(may, lambda one: one.consumer):
                letters = list(members)
                done = [one.position for one in letters]
                if not selected.dry_run:
                    done = await MOVES[self.action](connection, service, letters)
                moved += [one for one in letters if one.position in done]
                left += [one for one in letters if one.position not in done]
        if not selected.dry_run:
            log.warning(
                "dead-letters.moved",
                action=self.action,
                actor=visit.caller.actor,
                moved=[(one.consumer, one.position) for one in moved],
            )
        return json_response(
            Moved(
                dry_run=selected.dry_run,
                moved=[summary(one) for one in moved],
                left_alone=[summary(one) for one in left],
            )
        )

    @property
    def documented(self) -> Documented:
        return Documented(summary=self.summary, body=Selected, answers={200: Moved})


def summary(letter: Letter) -> LetterSummary:
    """A letter as it is told; one that is blocked has no time."""
    told = LetterSummary.model_validate(letter)
    return told.model_copy(update={"at": None}) if letter.state == "blocked" else told


async def _find(connection: Connection, service: str | None, wanted: Wanted) -> list[Letter]:
    found: list[Letter] = []
    for name in SERVICES if service is None else (service,):
        found += await dead_letters.find(connection, name, wanted)
    return found


def _group(letter: Letter) -> tuple[str, State, str]:
    return letter.consumer, letter.state, letter.cause
