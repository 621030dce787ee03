"""How commands ended: found at once, or waited for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import structlog

from bus.bell import Bell
from bus.connection import ACQUIRE_TIMEOUT_S, Pool, is_passing
from bus.tasks import set_within

LOOK_AT_LEAST_EVERY_S: Final = 0.5
LOOK_UNHEARD_EVERY_S: Final = 0.05
LOOK_AT_MOST_EVERY_S: Final = 0.002

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one terminal answer to a command, and the event that gave it."""

    command: UUID
    status: Literal["done", "rejected", "failed"]
    epoch: int
    position: int
    at: datetime
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """A command that was accepted: who asked what, when."""

    command: UUID
    actor: str
    name: str
    at: datetime


class Outcomes:
    """Looks outcomes up; while somebody waits, once for all waiters at each ring of the bell."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell
        self._waiting: dict[UUID, set[asyncio.Future[Outcome]]] = {}
        self._wanted = asyncio.Event()
        self._rung = bell.waiter()

    async def find(self, command: UUID) -> Outcome | None:
        return (await self._find([command])).get(command)

    async def known(self, command: UUID) -> Known | None:
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            row = await connection.fetchrow(
                "SELECT id AS command, actor, name, at FROM bus.accepted WHERE id = $1", command
            )
        return None if row is None else Known(**row)

    async def wait(self, command: UUID, timeout_s: float) -> Outcome | None:
        """The outcome, as soon as there is one; None if there is none in time."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(command, set())
        waiters.add(answer)
        self._wanted.set()
        self._rung.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            return None
        finally:
            waiters.discard(answer)
            if not waiters:
                self._waiting.pop(command, None)

    async def run(self) -> None:
        """Answers those who wait, until cancelled."""
        while True:
            await self._wanted.wait()
            self._rung.clear()
            try:
                await self._look()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("outcomes.waits", error=repr(error))
            if not self._waiting:
                self._wanted.clear()
                continue
            await asyncio.sleep(LOOK_AT_MOST_EVERY_S)
            await set_within(self._rung, LOOK_AT_LEAST_EVERY_S if self._bell.listening else LOOK_UNHEARD_EVERY_S)

    async def _look(self) -> None:
        for command, outcome in (await self._find(list(self._waiting))).items():
            for answer in self._waiting.get(command, ()):
                if not answer.done():
                    answer.set_result(outcome)

    async def _find(self, commands: list[UUID]) -> dict[UUID, Outcome]:
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            rows = await connection.fetch(
                """
                SELECT u.command, u.status, (SELECT max(epoch) FROM bus.epoch) AS epoch, u.position, u.at, o.name,
                       o.body
                FROM bus.outcome AS u
                JOIN bus.outbox AS o ON o.position = u.position AND o.topic = 'domain'
                WHERE u.command = ANY ($1::uuid[])
                """,
                commands,
            )
        return {row["command"]: Outcome(**{**row, "body": json.loads(row["body"])}) for row in rows}
