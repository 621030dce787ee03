"""Which messages may be attempted now: none that is paused, and none that depends on what is known to be away.

A message that may not is parked like one that failed, but unattempted, uncounted, and without a time for the next try:
what it waits for ends its waiting. Behind it its stream waits in order, and all others go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from bus import pauses
from bus.breaker import Breaker
from bus.connection import Connection
from bus.errors import Blocked, DependencyFailed, Later, Rejected
from bus.message import Envelope, Message, Received
from bus.service import Dependency, Given, Service

LOOK_EVERY_S: Final = 1.0

log = structlog.get_logger(__name__)


class Admission:
    """The pauses and circuits of one consumer, as this process knows them."""

    def __init__(self, service: Service) -> None:
        self._consumer = service.name
        self._dependencies = {row.message.name: row.depends for row in service.hears if row.depends is not None}
        self._breakers = {one.circuit: Breaker(one) for one in self._dependencies.values()}
        self._told: dict[str, str] = {}
        self._causes: Mapping[tuple[str, str], str] = {}  # by the kind of pause, and what is paused
        self._look_at = 0.0  # on the monotonic clock

    @property
    def paused(self) -> bool:
        """Whether the consumer does nothing at all."""
        return ("consumer", "") in self._causes

    @property
    def causes(self) -> set[str]:
        """All that anything may have to wait for."""
        return {*self._causes.values(), *(_open(one) for one in self._breakers.values() if one.state != "closed")}

    @property
    def probes_due(self) -> list[str]:
        """The circuits that one message may try, by what the others wait for."""
        return [_open(one) for one in self._breakers.values() if one.probe_in_s() == 0]

    def patience_s(self) -> float | None:
        """Seconds until something may be probed; None if that is for the next message to do."""
        waits = [one.probe_in_s() or None for one in self._breakers.values()]
        return min((one for one in waits if one is not None), default=None)

    async def look(self, connection: Connection) -> None:
        """Finds out, once a second, what a person has paused; tells how the circuits are when that changes."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            found = await pauses.of(connection, self._consumer)
            self._causes = {(one.kind, one.what): one.cause for one in found}
        for breaker in self._breakers.values():
            if self._told.get(breaker.name) != breaker.state:
                await _tell(connection, self._consumer, breaker)
                self._told[breaker.name] = breaker.state

    @property
    def free(self) -> bool:
        """Whether nothing is paused and no handler depends on anything: then no message need be looked at by itself."""
        return not self._causes and not self._dependencies

    def blocked(self, envelope: Envelope) -> Blocked | None:
        """Why a message may not be attempted now; None if it may."""
        cause = self._causes.get(("stream", envelope.stream)) or self._causes.get(("handler", envelope.name))
        if cause is not None:
            return Blocked(cause)
        on = self._dependencies.get(envelope.name)
        if on is None or self._breakers[on.circuit].lets_through():
            return None
        return Blocked(_open(self._breakers[on.circuit]))

    def depends(self, envelope: Envelope) -> bool:
        """Whether its handler depends on something outside of the database; then it is handled alone."""
        return envelope.name in self._dependencies

    def parts(self, envelopes: Sequence[Envelope]) -> list[list[Envelope]]:
        """The messages in order, in parts: those that depend on something alone, the others as many as there are."""
        if not self._dependencies:
            return [list(envelopes)]
        parts: list[list[Envelope]] = []
        together = False
        for envelope in envelopes:
            alone = self.depends(envelope)
            if together and not alone:
                parts[-1].append(envelope)
            else:
                parts.append([envelope])
            together = not alone
        return parts

    async def ask(self, received: Sequence[Received[Message]], at: datetime) -> dict[UUID, Any]:
        """What those say that these messages depend on; it is asked outside of any transaction.

        A refusal by the business is an answer. Raises DependencyFailed, or Blocked if that was a probe.
        """
        answers: dict[UUID, Any] = {}
        for one in received:
            on = self._dependencies.get(one.envelope.name)
            if on is not None:
                given = Given(
                    at, one.envelope.id, one.envelope.correlation, one.envelope.actor, appended_at=one.envelope.at
                )
                answers[one.envelope.id] = await self._ask(on, one.message, given)
        return answers

    async def _ask(self, on: Dependency, message: Message, given: Given) -> Any:
        breaker = self._breakers[on.circuit]
        probe = breaker.state == "half-open"
        try:
            async with asyncio.timeout(on.within_s):
                answer = await on.ask(message, given)
        except Rejected as rejected:
            answer = rejected
        except Exception as error:
            breaker.failed()
            log.warning("dependency.failed", circuit=breaker.name, state=breaker.state, error=repr(error))
            if probe:
                raise Blocked(_open(breaker)) from error
            if isinstance(error, Later):
                raise
            raise DependencyFailed(f"{breaker.name}: {error!r}") from error
        breaker.succeeded()
        return answer


def _open(breaker: Breaker) -> str:
    return f"circuit open: {breaker.name}"


async def _tell(connection: Connection, consumer: str, breaker: Breaker) -> None:
    await connection.execute(
        """
        INSERT INTO bus.circuit AS c (consumer, circuit, state, since, opened)
        VALUES ($1, $2, $3, clock_timestamp(), ($3 = 'open')::integer)
        ON CONFLICT (consumer, circuit) DO UPDATE
        SET state = excluded.state, since = excluded.since, opened = c.opened + excluded.opened
        """,
        consumer,
        breaker.name,
        breaker.state,
    )
