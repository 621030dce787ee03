"""The way into the log for a service: its own events are applied to its tables and appended, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Literal, Protocol
from uuid import UUID

from bus.connection import Connection
from bus.identity import uuid7
from bus.message import Event, Message
from bus.service import ApplyMany, Effect, Schedule, Service, Unschedule

Status = Literal["done", "rejected", "failed"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message on its way into the log."""

    message: Message
    actor: str
    correlation: UUID
    cause: UUID | None
    concludes: UUID | None = None
    status: Status | None = None


class Producer(Protocol):
    """Whoever may append: `id` is its present registration in bus.producer."""

    @property
    def id(self) -> int: ...


class Outbox:
    """Applies a service's own events and appends them, always in the caller's transaction."""

    def __init__(self, service: Service, producer: Producer) -> None:
        self._service = service
        self._producer = producer
        self.next_due_at: datetime | None = None  # the earliest that was scheduled since it was last looked up

    async def say(
        self,
        connection: Connection,
        effects: Sequence[Effect],
        *,
        actor: str,
        correlation: UUID,
        cause: UUID | None = None,
    ) -> int | None:
        """Takes these effects and appends what they say; for what begins outside the log."""
        said = await self.take(connection, effects, actor=actor, correlation=correlation, cause=cause)
        return await self.append(connection, said)

    async def take(
        self,
        connection: Connection,
        effects: Sequence[Effect],
        *,
        actor: str,
        correlation: UUID,
        cause: UUID | None = None,
        answers: UUID | None = None,
    ) -> list[Said]:
        """Writes what effects mean to the tables and returns the messages to append.

        `answers` is the command that the last event answers, unless an event names its command itself.
        """
        said: list[Said] = []
        for effect in effects:
            if isinstance(effect, Schedule):
                await self._schedule(connection, effect, correlation=correlation, cause=cause)
            elif isinstance(effect, Unschedule):
                await _unschedule(connection, self._service.name, effect.key)
            else:
                await self.apply(connection, [effect])
                concludes, status = _answer(effect)
                said.append(Said(effect, actor, effect.correlation(correlation), cause, concludes, status))
        if answers is not None and all(one.concludes != answers for one in said):
            free = [index for index, one in enumerate(said) if one.concludes is None]
            if not free:
                text = f"a command of {self._service.name} was decided without an event that answers it"
                raise AssertionError(text)
            said[free[-1]] = replace(said[free[-1]], concludes=answers, status="done")
        return said

    async def apply(self, connection: Connection, events: Iterable[Event]) -> None:
        """Writes what events, own or foreign, mean to the service's tables."""
        for kind, run in groupby(events, type):
            apply = self._service.applies.get(kind)
            if isinstance(apply, ApplyMany):
                await apply.apply(connection, list(run))
            elif apply is not None:
                for event in run:
                    await apply(connection, event)

    async def append(self, connection: Connection, said: Sequence[Said]) -> int | None:
        """Appends messages as the transaction's last statement; returns the last position."""
        if not said:
            return None
        position: int = await connection.fetchval(
            """
            SELECT bus.append(
                $1, $2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::boolean[], $7::jsonb[], $8::uuid[],
                $9::uuid[], $10::text[], $11::uuid[], $12::text[])
            """,
            self._producer.id,
            [uuid7() for _ in said],
            [one.message.name for one in said],
            [one.message.version for one in said],
            [one.message.stream for one in said],
            [isinstance(one.message, Event) for one in said],
            [one.message.model_dump_json() for one in said],
            [one.cause for one in said],
            [one.correlation for one in said],
            [one.actor for one in said],
            [one.concludes for one in said],
            [one.status for one in said],
        )
        return position

    async def _schedule(
        self, connection: Connection, effect: Schedule, *, correlation: UUID, cause: UUID | None
    ) -> None:
        await connection.execute(
            """
            INSERT INTO bus.scheduled (service, key, due_at, name, schema, stream, body, cause, correlation, actor)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (service, key) DO UPDATE
            SET due_at = excluded.due_at, name = excluded.name, schema = excluded.schema, stream = excluded.stream,
                body = excluded.body, cause = excluded.cause, correlation = excluded.correlation, actor = excluded.actor
            """,
            self._service.name,
            effect.key,
            effect.due_at,
            effect.command.name,
            effect.command.version,
            effect.command.stream,
            effect.command.model_dump_json(),
            cause,
            effect.command.correlation(correlation),
            f"service:{self._service.name}",
        )
        if self.next_due_at is None or effect.due_at < self.next_due_at:
            self.next_due_at = effect.due_at


async def _unschedule(connection: Connection, service: str, key: str) -> None:
    await connection.execute("DELETE FROM bus.scheduled WHERE service = $1 AND key = $2", service, key)


def _answer(event: Event) -> tuple[UUID | None, Status | None]:
    answers: tuple[tuple[str | None, Status], ...] = (
        (event.concludes, "done"),
        (event.rejects, "rejected"),
        (event.fails, "failed"),
    )
    for field, status in answers:
        if field is not None:
            return getattr(event, field), status
    return None, None
