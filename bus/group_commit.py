"""Group commit: commands that come in while one append is under way go together into the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from typing import Final, Literal, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from bus.backoff import full_jitter
from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing
from bus.message import Command
from bus.observing import Observe, unobserved
from bus.outbox import Producer
from bus.tasks import unless

BUFFER: Final = 10_000
URGENT_BUFFER: Final = 100  # places beyond the buffer for what cannot wait
TOGETHER: Final = 1_000
APPEND_TIMEOUT_S: Final = 3.0
GIVE_UP_AFTER_S: Final = 8.0
RETRY_LONGEST_S: Final = 0.5
RETRY_AFTER_S: Final = 2

Verdict = Literal["accepted", "repeated", "conflicting"]

log = structlog.get_logger(__name__)


class Asked(NamedTuple):
    """A command at the gate: whose it is, and the key under which it may be asked again."""

    key: UUID  # see `key_of`
    hash: bytes  # sha256 of the request's body
    id: UUID
    command: Command
    actor: str


class Accepted(NamedTuple):
    """What became of it: `id` is the command's, which for a repeated key is the first one's."""

    id: UUID
    verdict: Verdict


class Overloaded(Exception):  # noqa: N818 - a state, not a fault
    """The gate cannot take more now; whether what was asked came through is told by asking again with the same key."""

    def __init__(self, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(f"again after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Unacceptable(Exception):  # noqa: N818 - a finding
    """The database cannot take this command, alone or with others."""


@dataclass(slots=True)
class _Waiting:
    asked: Asked
    answer: asyncio.Future[Accepted]


class GroupCommit:
    """One append in flight; what comes meanwhile is the next. An answer is given after COMMIT only."""

    def __init__(self, pool: Pool, producer: Producer, ring: Callable[[], None], observe: Observe = unobserved) -> None:
        self._pool = pool
        self._producer = producer
        self._ring = ring
        self._observe = observe
        self._buffer: list[_Waiting] = []
        self._taken: list[_Waiting] = []
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = False

    async def accept(self, asked: Asked) -> Accepted:
        """Returns once the command is durable. Raises Overloaded, and Unacceptable for what no retry would mend."""
        urgent = asked.command.urgent
        most = BUFFER + URGENT_BUFFER if urgent else BUFFER
        if len(self._buffer) >= most or self._ended or self._stopping.is_set() or not self._producer.id:
            raise Overloaded
        waiting = _Waiting(asked, asyncio.get_running_loop().create_future())
        if urgent:
            ahead = sum(1 for _ in takewhile(lambda one: one.asked.command.urgent, self._buffer))
            self._buffer.insert(ahead, waiting)
        else:
            self._buffer.append(waiting)
        self._wanted.set()
        return await waiting.answer

    async def run(self, stopping: asyncio.Event) -> None:
        """Appends until stopped; what was taken by then is still answered, however this ends."""
        self._stopping = stopping
        try:
            while not self._ended:
                await unless(stopping, self._wanted.wait())
                self._ended = stopping.is_set()
                self._wanted.clear()
                while self._buffer:
                    self._taken, self._buffer = self._buffer[:TOGETHER], self._buffer[TOGETHER:]
                    if not await self._flush(self._taken) and stopping.is_set():
                        return
                    await asyncio.sleep(0)  # what has arrived meanwhile goes along with what waits
        finally:
            self._ended = True
            _answer_all([*self._taken, *self._buffer], Overloaded())

    async def _flush(self, together: Sequence[_Waiting]) -> bool:
        """Commits these commands; if one of them cannot be taken, the others still are. False: the database is away."""
        began = time.monotonic()
        try:
            accepted = await self._commit([one.asked for one in together])
        except Overloaded as overloaded:
            _answer_all(together, overloaded)
            return False
        except (asyncpg.PostgresError, ValueError) as error:
            if len(together) == 1:
                log.exception("command.unacceptable", name=together[0].asked.command.name)
                _answer_all(together, Unacceptable(str(error)))
                return True
            middle = len(together) // 2
            first = await self._flush(together[:middle])
            return await self._flush(together[middle:]) and first
        self._observe(len(together), time.monotonic() - began)
        self._ring()
        for waiting, answer in zip(together, accepted, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        return True

    async def _commit(self, asked: Sequence[Asked]) -> list[Accepted]:
        """One call, one commit. If its answer is lost, the same call is made again: the keys tell what is there."""
        deadline = asyncio.get_running_loop().time() + GIVE_UP_AFTER_S
        failures = 0
        while True:
            try:
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    return await self._accept_on(connection, asked)
            except Exception as error:
                if not is_passing(error):
                    raise
                failures += 1
                log.warning("group-commit.again", commands=len(asked), error=repr(error), failures=failures)
                if self._stopping.is_set() or asyncio.get_running_loop().time() > deadline:
                    raise Overloaded from error
                await asyncio.sleep(full_jitter(failures, first_s=0.02, longest_s=RETRY_LONGEST_S))

    async def _accept_on(self, connection: Connection, asked: Sequence[Asked]) -> list[Accepted]:
        try:
            return await accept_all(connection, self._producer.id, asked)
        except TimeoutError:
            connection.terminate()  # giving it back would wait once more for a server that does not answer
            raise


def key_of(scope: str, key: str) -> UUID:
    """What the log knows an idempotency key by: a digest of it and its scope, which is the actor and the route."""
    return UUID(bytes=sha256(f"{scope}\n{key}".encode()).digest()[:16])


async def accept_all(connection: Connection, producer: int, asked: Sequence[Asked]) -> list[Accepted]:
    """Appends commands and their keys in one transaction of their own."""
    if len(asked) == 1 and await _accept_new(connection, producer, asked[0]):
        return [Accepted(id=asked[0].id, verdict="accepted")]
    rows = await connection.fetch(
        """
        SELECT id, verdict FROM bus.accept(
            $1, $2::uuid[], $3::bytea[], $4::uuid[], $5::text[], $6::smallint[], $7::text[], $8::jsonb[], $9::uuid[],
            $10::text[])
        ORDER BY ordinal
        """,
        producer,
        [one.key for one in asked],
        [one.hash for one in asked],
        [one.id for one in asked],
        [one.command.name for one in asked],
        [one.command.version for one in asked],
        [one.command.stream for one in asked],
        [one.command.model_dump_json() for one in asked],
        [one.command.correlation(one.id) for one in asked],
        [one.actor for one in asked],
        timeout=APPEND_TIMEOUT_S,
    )
    return [Accepted(id=row["id"], verdict=row["verdict"]) for row in rows]


async def _accept_new(connection: Connection, producer: int, one: Asked) -> bool:
    """Appends a command that is alone; False, and nothing is done, if its key is known."""
    accepted: bool = await connection.fetchval(
        "SELECT bus.accept_new($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        producer,
        one.key,
        one.hash,
        one.id,
        one.command.name,
        one.command.version,
        one.command.stream,
        one.command.model_dump_json(),
        one.command.correlation(one.id),
        one.actor,
        timeout=APPEND_TIMEOUT_S,
    )
    return accepted


def _answer_all(together: Sequence[_Waiting], error: Exception) -> None:
    for waiting in together:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
