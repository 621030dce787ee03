"""A consumer: it reads the log in order, hands messages to its service, and moves on, each exactly once in effect."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from bus import parking, reading
from bus.desk import Desk
from bus.message import Envelope
from bus.redoing import redoing
from bus.requeued import Requeued
from bus.retrying import Retrying
from bus.schedule import Schedule
from bus.service import DEFAULT_ATTEMPTS
from bus.trust import NotEntitled, Trust

BATCH: Final = 1000
IDLE_PROGRESS_AFTER: Final = 1000  # positions passed without a message of one's own before it is written down

log = structlog.get_logger(__name__)


class Consumer:
    """One service's reading of the log, from its desk."""

    def __init__(self, desk: Desk, trust: Trust, *, after_a_crash: bool, batch: int = BATCH) -> None:
        self._desk = desk
        self._trust = trust
        self._batch = batch
        self._retrying = Retrying(desk)
        self._requeued = Requeued(desk, trust)
        self._schedule = Schedule(desk)
        self._suspects = batch if after_a_crash else 0  # messages that a process before us may have died of
        self._written = 0  # the cursor as it stands in bus.progress
        self.cursor = 0
        self.unsettled = False  # something above the horizon may still appear, without a ring

    async def open(self) -> None:
        """Finds out where the consumer stands."""
        self._written = await self._desk.connection.fetchval("SELECT bus.cursor_of($1)", self._desk.consumer)
        self.cursor = self._written
        await self._retrying.open()
        await self._schedule.open()
        log.info("consumer.open", consumer=self._desk.consumer, cursor=self.cursor, suspects=self._suspects)

    async def step(self) -> bool:
        """Sends what is due, retries what was parked, reads on. True if more is to be had at once."""
        desk = self._desk
        busy = await self._schedule.send_due()
        if self._requeued.look_due():
            await self._retrying.look_ahead()
            await self._requeued.retry()
        busy |= await self._retrying.retry()
        batch = await reading.read(desk.connection, self.cursor, desk.topics, desk.names, self._batch)
        if batch.messages:
            await self._work_through(batch.messages, batch.covered, batch.at)
        self._schedule.heed(batch.at)
        self.cursor = max(self.cursor, batch.covered)
        self.unsettled = batch.unsettled
        if self.cursor - self._written >= IDLE_PROGRESS_AFTER:
            await self.write_progress()
        return busy or batch.behind

    async def write_progress(self) -> None:
        """Writes down how far was read, where nothing was of interest."""
        if self.cursor > self._written:
            async with self._desk.connection.transaction():
                await self._desk.advance([], since=self._written, covered=self.cursor)
            self._written = self.cursor

    def patience_s(self) -> float | None:
        """Seconds until something is due without a ring; None if nothing is."""
        waits = (self._schedule.patience_s(), self._retrying.patience_s())
        return min((one for one in waits if one is not None), default=None)

    async def _work_through(self, envelopes: Sequence[Envelope], covered: int, at: datetime) -> None:
        desk = self._desk
        if not self._suspects:
            try:
                await self._transact(envelopes, covered, at)
            except Exception as error:
                if desk.ends_the_turn(error):
                    raise
                log.info("batch.singly", consumer=desk.consumer, messages=len(envelopes), error=repr(error))
            else:
                return
        for envelope in envelopes:
            await self._singly(envelope, at)

    async def _transact(self, envelopes: Sequence[Envelope], covered: int, at: datetime) -> None:
        """Effects, messages and progress of a batch, together or not at all."""
        desk, began = self._desk, time.monotonic()
        await self._trust.must_be_entitled(desk.connection, envelopes)
        waiting = [one for one in envelopes if one.stream in self._retrying]
        received = [desk.catalogue.read(one) for one in envelopes if one.stream not in self._retrying]
        async with desk.connection.transaction():
            said = await desk.handling.handle(desk.connection, received, at)
            if waiting:
                await parking.let_wait(desk.connection, desk.consumer, waiting)
            await desk.advance(envelopes, since=self._written, covered=covered)
            await desk.outbox.append(desk.connection, said)
        self._written = covered
        desk.observe(len(envelopes), time.monotonic() - began)
        if said:
            desk.ring()

    async def _singly(self, envelope: Envelope, at: datetime) -> None:
        waits = envelope.stream in self._retrying  # then it is not tried now, and not to blame for anything
        if self._suspects and not waits and not await self._begin_counted(envelope):
            return
        try:
            await redoing(lambda: self._transact([envelope], envelope.position, at))
        except Exception as error:
            if self._desk.ends_the_turn(error):
                raise
            await self._set_aside(envelope, error)
        if self._suspects:
            await self._cleared(envelope)

    async def _set_aside(self, envelope: Envelope, error: Exception) -> None:
        """Parks a failing message's stream; a message nobody was entitled to send is a dead letter at once."""
        desk = self._desk
        stranger = isinstance(error, NotEntitled)
        async with desk.connection.transaction():
            if stranger:
                await parking.bury(desk.connection, desk.consumer, envelope, error, attempts=0)
            else:
                await self._retrying.park(envelope, error)
            await desk.advance([envelope], since=self._written, covered=envelope.position)
        self._written = envelope.position
        if not stranger:
            await self._retrying.parked(envelope, error)

    # After a crash

    async def _begin_counted(self, envelope: Envelope) -> bool:
        """Counts a try before it is made, since a process before us may have died of this very message."""
        desk = self._desk
        async with desk.under_lease():
            begun: int = await desk.connection.fetchval(
                """
                INSERT INTO bus.attempt AS a (consumer, position, begun) VALUES ($1, $2, 1)
                ON CONFLICT (consumer, position) DO UPDATE SET begun = a.begun + 1 RETURNING begun
                """,
                desk.consumer,
                envelope.position,
            )
        if begun <= DEFAULT_ATTEMPTS:
            return True
        error = RuntimeError(f"{begun - 1} processes ended while they handled this message")
        async with desk.connection.transaction():
            await parking.bury(desk.connection, desk.consumer, envelope, error, attempts=begun - 1)
            said = await desk.failure(envelope)
            await desk.advance([envelope], since=self._written, covered=envelope.position)
            await desk.outbox.append(desk.connection, said)
        self._written = envelope.position
        await self._cleared(envelope)
        return False

    async def _cleared(self, envelope: Envelope) -> None:
        self._suspects -= 1
        await self._desk.connection.execute(
            "DELETE FROM bus.attempt WHERE consumer = $1 AND position <= $2",
            self._desk.consumer,
            envelope.position,
        )
