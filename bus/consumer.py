"""A consumer: it reads the log in order, hands messages to its service, and moves on, each exactly once in effect."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from bus import parking, reading
from bus.desk import Desk, stories_of
from bus.fronts import Front, where, without
from bus.message import Envelope
from bus.partitions import ALL, NONE
from bus.redoing import redoing
from bus.requeued import Requeued
from bus.retrying import Retrying
from bus.schedule import Schedule
from bus.service import DEFAULT_ATTEMPTS
from bus.trust import NotEntitled, Trust

BATCH: Final = 1000
STORIES: Final = 250  # in a transaction, where others share the work: each is a lock
IDLE_PROGRESS_AFTER: Final = 1000  # positions passed without a message of one's own before it is written down
IDLE_PROGRESS_S: Final = 1.0  # or so long since the last was

log = structlog.get_logger(__name__)


class Consumer:
    """One worker's reading of the log, from its desk: of the partitions that are its share, and no others."""

    def __init__(self, desk: Desk, trust: Trust, *, batch: int = BATCH) -> None:
        self._desk = desk
        self._trust = trust
        self._batch = batch
        self._retrying = Retrying(desk)
        self._requeued = Requeued(desk, trust)
        self._schedule = Schedule(desk)
        self._fronts: list[Front] = []
        self._written_at_s = 0.0  # on the monotonic clock
        self.unsettled = False  # something above the horizon may still appear, without a ring

    @property
    def cursor(self) -> int:
        """The position that it has read up to in all its partitions; 0 if it has none."""
        return min((front.cursor for front in self._fronts), default=0)

    async def open(self) -> None:
        """Takes its share, and finds out where that stands."""
        await self._balance()
        await self._look_again()

    async def step(self) -> bool:
        """Sends what is due, retries what was parked, reads on. True if more is to be had at once."""
        desk = self._desk
        if desk.membership.unbalanced and await self._balance():
            await self._look_again()
        await self._retrying.look()
        if desk.admission.paused:
            self.unsettled = False
            return False
        busy = await self._schedule.send_due()
        if self._requeued.look_due():
            await self._retrying.look_ahead()
            await self._requeued.retry()
        busy |= await self._retrying.retry()
        busy |= await self._read_on()
        if self._is_worth_writing():
            await self.write_progress()
        return busy

    async def write_progress(self) -> None:
        """Writes down how far was read, where nothing was of interest."""
        behind = [front for front in self._fronts if front.cursor > front.written]
        if behind:
            async with self._desk.connection.transaction():
                for front in behind:
                    await self._desk.advance([], front, covered=front.cursor)
            for front in behind:
                self._wrote(front, front.cursor)

    async def close(self) -> None:
        """Gives its share back, in good order."""
        await self.write_progress()
        await self._desk.membership.leave(self._desk.connection, suspect=self._suspect)

    def patience_s(self) -> float | None:
        """Seconds until something is due without a ring; None if nothing is."""
        if self._desk.admission.paused:
            return None
        waits = (self._schedule.patience_s(), self._retrying.patience_s())
        return min((one for one in waits if one is not None), default=None)

    # Whose work it is

    @property
    def _suspect(self) -> int:
        """The partitions in which a process before us may have died of a message."""
        suspect = NONE
        for front in self._fronts:
            suspect |= NONE if front.clear else front.partitions
        return suspect

    async def _balance(self) -> bool:
        """Takes or gives what a fair share needs, between two transactions; True if the share is another now."""
        desk = self._desk
        await self.write_progress()
        before = desk.membership.partitions
        unclean = await desk.membership.balance(desk.connection, suspect=self._suspect)
        after = desk.membership.partitions
        self._fronts = without(self._fronts, before & ~after)
        gained = after & ~before
        if gained:  # whoever had them has committed its last
            row = await desk.connection.fetchrow(
                "SELECT bus.cursors_of($1) AS cursors, last_value AS head FROM bus.outbox_position", desk.consumer
            )
            assert row is not None
            found = where(row["cursors"], unclean)
            for front in found:
                front.suspects, front.suspect_upto = self._batch, row["head"]
            self._fronts += [*found, *where(row["cursors"], gained & ~unclean)]
        return before != after

    async def _look_again(self) -> None:
        """Finds out what waits in its partitions."""
        await self._retrying.open()
        await self._schedule.open()

    # Reading

    async def _read_on(self) -> bool:
        """One batch of each front, the hindmost first and none past the next; True if more is to be had at once."""
        behind, ordered = False, sorted(self._fronts, key=lambda one: one.cursor)
        self.unsettled = False
        for front, ahead in zip(ordered, [*ordered[1:], None], strict=False):
            behind |= await self._read_front(front, None if ahead is None else ahead.cursor)
            if ahead is not None and front.cursor == ahead.cursor and front.clear and ahead.clear:
                await self.write_progress()  # from here on they are read, and written down, as one
                ahead.partitions |= front.partitions
                self._fronts.remove(front)
        return behind

    async def _read_front(self, front: Front, upto: int | None) -> bool:
        desk = self._desk
        batch = await reading.read(
            desk.connection,
            front.cursor,
            desk.topics,
            desk.names,
            self._batch,
            partitions=front.partitions,
            upto=upto,
            own=desk.own,
        )
        if batch.messages:
            desk.delivered((batch.at - batch.messages[0].at).total_seconds())
        for messages in [batch.messages] if desk.membership.partitions == ALL else _cut(batch.messages, STORIES):
            if messages:
                covered = batch.covered if messages[-1] is batch.messages[-1] else messages[-1].position
                await self._work_through(front, messages, covered, batch.at)
        self._schedule.heed(batch.at)
        front.cursor = max(front.cursor, batch.covered)
        if front.suspects and front.clear:
            await self._nothing_is_suspected(front)
        self.unsettled = batch.unsettled
        return batch.behind

    def _is_worth_writing(self) -> bool:
        idle = max((front.cursor - front.written for front in self._fronts), default=0)
        return idle >= IDLE_PROGRESS_AFTER or (idle > 0 and time.monotonic() - self._written_at_s >= IDLE_PROGRESS_S)

    def _wrote(self, front: Front, covered: int) -> None:
        front.written = covered
        self._written_at_s = time.monotonic()

    async def _work_through(self, front: Front, envelopes: Sequence[Envelope], covered: int, at: datetime) -> None:
        parts = self._desk.admission.parts(envelopes)
        for part in parts:
            await self._work_through_part(front, part, covered if part is parts[-1] else part[-1].position, at)

    async def _work_through_part(self, front: Front, envelopes: Sequence[Envelope], covered: int, at: datetime) -> None:
        desk = self._desk
        if front.clear and not desk.admission.depends(envelopes[0]):
            try:
                await self._transact(front, envelopes, covered, at)
            except Exception as error:
                if desk.ends_the_turn(error):
                    raise
                log.info("batch.singly", consumer=desk.consumer, messages=len(envelopes), error=repr(error))
            else:
                return
        for envelope in envelopes:
            await self._singly(front, envelope, at)

    async def _transact(self, front: Front, envelopes: Sequence[Envelope], covered: int, at: datetime) -> None:
        """Effects, messages and progress of a batch, together or not at all."""
        desk, began = self._desk, time.monotonic()
        await self._trust.must_be_entitled(desk.connection, envelopes)
        going, waiting, blocked = self._retrying.sort_out(envelopes)
        received = [desk.catalogue.read(one) for one in going]
        answers = await desk.admission.ask(received, at)
        async with desk.connection.transaction():
            said = await desk.handle(received, at, answers)
            for head, why in blocked.values():
                await self._retrying.park(head, why)
            if waiting:
                await parking.let_wait(desk.connection, desk.consumer, waiting)
            await desk.advance(envelopes, front, covered=covered)
            await desk.outbox.append(desk.connection, said)
        self._wrote(front, covered)
        for head, why in blocked.values():
            await self._retrying.parked(head, why)
        desk.observe(len(envelopes), time.monotonic() - began)
        if said:
            desk.ring()

    async def _singly(self, front: Front, envelope: Envelope, at: datetime) -> None:
        # What waits is not tried now, and not to blame for anything.
        waits = envelope.stream in self._retrying or self._desk.admission.blocked(envelope) is not None
        suspected = not front.clear
        if suspected and not waits and not await self._begin_counted(front, envelope):
            return
        try:
            await redoing(lambda: self._transact(front, [envelope], envelope.position, at))
        except Exception as error:
            if self._desk.ends_the_turn(error):
                raise
            await self._set_aside(front, envelope, error)
        if suspected:
            await self._cleared(front, envelope)

    async def _set_aside(self, front: Front, envelope: Envelope, error: Exception) -> None:
        """Parks a failing message's stream; a message nobody was entitled to send is a dead letter at once."""
        desk = self._desk
        stranger = isinstance(error, NotEntitled)
        async with desk.connection.transaction():
            if stranger:
                await parking.bury(desk.connection, desk.consumer, envelope, error, attempts=0)
            else:
                await self._retrying.park(envelope, error)
            await desk.advance([envelope], front, covered=envelope.position)
        self._wrote(front, envelope.position)
        if not stranger:
            await self._retrying.parked(envelope, error)

    # After a crash

    async def _begin_counted(self, front: Front, envelope: Envelope) -> bool:
        """Counts a try before it is made, since a process before us may have died of this very message."""
        desk = self._desk
        async with desk.under_share():
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
            await desk.advance([envelope], front, covered=envelope.position)
            await desk.outbox.append(desk.connection, said)
        self._wrote(front, envelope.position)
        await self._cleared(front, envelope)
        return False

    async def _cleared(self, front: Front, envelope: Envelope) -> None:
        front.suspects -= 1
        await self._desk.connection.execute(
            "DELETE FROM bus.attempt WHERE consumer = $1 AND position = $2", self._desk.consumer, envelope.position
        )

    async def _nothing_is_suspected(self, front: Front) -> None:
        """Forgets the tries of messages that were done by a process that died before it could say so."""
        await self._desk.connection.execute(
            """
            DELETE FROM bus.attempt AS a USING bus.outbox AS o
            WHERE a.consumer = $1 AND a.position <= $2 AND o.position = a.position AND $3::bigint >> o.partition & 1 = 1
            """,
            self._desk.consumer,
            front.cursor,
            front.partitions,
        )
        front.suspects = 0


def _cut(envelopes: Sequence[Envelope], most: int) -> Iterator[list[Envelope]]:
    """The messages in order, in parts of which none belongs to more than so many stories."""
    part: list[Envelope] = []
    stories: set[UUID] = set()
    for envelope in envelopes:
        stories |= stories_of([envelope])
        if len(stories) > most:
            yield part
            part, stories = [], stories_of([envelope])
        part.append(envelope)
    if part:
        yield part
