"""What one service does with messages, inside a transaction: apply, load, decide, and collect what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from bus.connection import Connection
from bus.errors import Rejected
from bus.message import Command, Event, Message, Received
from bus.outbox import Outbox, Said
from bus.service import Effect, Given, Hears, Service

Answers = Mapping[UUID, Any]
NO_ANSWERS: Final[Answers] = {}


class Handling:
    """Runs messages through a service's table."""

    def __init__(self, service: Service, outbox: Outbox) -> None:
        self._service = service
        self._outbox = outbox
        self._projects = service.projects
        self._rows = {row.message: row for row in service.hears}

    def row(self, kind: type[Message]) -> Hears | None:
        return self._rows.get(kind)

    async def handle(
        self, connection: Connection, received: Sequence[Received[Message]], at: datetime, answers: Answers = NO_ANSWERS
    ) -> list[Said]:
        """Everything that follows from these messages, in order; the tables are written, nothing is appended yet.

        `answers`: what those that they depend on have said, by message.
        """
        said: list[Said] = []
        for kind, grouped in groupby(received, lambda one: type(one.message)):
            run = list(grouped)
            row = self._rows.get(kind)
            projected = kind in self._projects
            for part in [run] if row is None or row.batch else ([one] for one in run):
                if projected:
                    await self._outbox.apply(
                        connection, [one.message for one in part if isinstance(one.message, Event)]
                    )
                if row is not None:
                    said += await self._decide(connection, row, part, at, answers)
        return said

    async def _decide(
        self, connection: Connection, row: Hears, run: Sequence[Received[Message]], at: datetime, answers: Answers
    ) -> list[Said]:
        if row.decide is None:
            return []
        last = run[-1]
        envelope = last.envelope
        subject = run if row.batch else last.message
        answer = answers.get(envelope.id)
        given = Given(at, envelope.id, envelope.correlation, envelope.actor, appended_at=envelope.at, answer=answer)
        state = None if row.load is None else await row.load(connection, subject)
        is_command = isinstance(last.message, Command)
        try:
            if isinstance(answer, Rejected):
                raise answer
            effects = row.decide(state, subject, given)
        except Rejected as rejected:
            if not is_command:
                raise
            effects = [self._rejection(last, rejected)]
        return await self._outbox.take(
            connection,
            effects,
            actor=envelope.actor,
            correlation=envelope.correlation,
            cause=envelope.id,
            answers=envelope.id if is_command and not row.leaves_open else None,
        )

    def _rejection(self, received: Received[Message], rejected: Rejected) -> Effect:
        return self._service.rejected_as(
            command=received.envelope.id,
            asked=received.envelope.name,
            about=received.envelope.stream,
            refused_by=self._service.name,
            rule=rejected.rule,
            rule_version=rejected.version,
            reason=rejected.reason,
        )
