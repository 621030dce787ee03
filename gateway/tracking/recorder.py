"""Brings shots into the log: each under the one identity it has, in batches, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from pydantic import ValidationError

from bus.backoff import full_jitter
from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing
from bus.outbox import Producer
from bus.shots import Told, record_shots
from bus.tasks import running
from gateway.tracking.epoch_store import hold_lanes, remember, write_down
from gateway.tracking.epochs import Epoch, Identity, fired_at, set_clock
from gateway.tracking.journal_store import drained, forget, move
from gateway.tracking.shots import Sighted
from gateway.tracking.spool import Item, Part, Recorded, Spool
from handlers.stats.events import ShotRecorded

TOGETHER: Final = 1000
RETRY_LONGEST_S: Final = 2.0
ADOPT_EVERY_S: Final = 60.0
ANSWER_WITHIN_S: Final = 2.0  # then who posted hears that it is kept
GAPS_REMEMBERED: Final = 1000
UNACCEPTABLE: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValidationError,
)
"""What is said of a shot that the log will never take; everything else passes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """A shot whose identity is known."""

    item: Item
    shot: Sighted
    epoch: Epoch
    identity: Identity
    received_at: datetime


class Recorder:
    """One reader of what is kept: everything goes into the log in the order in which it stands in the journal."""

    def __init__(self, pool: Pool, producer: Producer, ring: Callable[[], None], spool: Spool) -> None:
        self._pool = pool
        self._producer = producer
        self._ring = ring
        self._spool = spool
        self.recorded = 0
        self.repeated = 0
        self.refused = 0
        self.missing: dict[tuple[str, str], list[tuple[int, int]]] = {}  # by device and epoch

    async def run(self) -> None:
        """Records what is kept, until cancelled. While the database is away it waits, and keeps its order."""
        await self._adopt()
        async with running(self._adopt_now_and_then()):
            while True:
                await self._record_next()

    async def take(self, parts: Sequence[Part]) -> Recorded | None:
        """Keeps parts, and tells what became of them; None: they are kept, and will be recorded later.

        Raises JournalFull or OSError if they cannot be kept, and what is UNACCEPTABLE for what will never be recorded.
        """
        items = await self._spool.keep(parts, answered=True)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                told = [await item.answer for item in items if item.answer is not None]
        except TimeoutError:
            for item in items:
                if item.answer is not None:
                    item.answer.cancel()
            return None
        return Recorded(sum(one.recorded for one in told), sum(one.repeated for one in told))

    async def _record_next(self) -> None:
        items = await self._spool.next(TOGETHER)
        failures = 0
        while items:
            batch = items
            while True:
                try:
                    await self._record(batch)
                except Exception as error:
                    if isinstance(error, UNACCEPTABLE) and not is_passing(error):  # a missing partition passes
                        # Its neighbours are not to blame.
                        batch = batch[: len(batch) // 2] if len(batch) > 1 else [self._refused(batch[0], error)]
                        continue
                    if not (is_passing(error) or isinstance(error, asyncpg.PostgresError)):
                        raise
                    failures += 1
                    wait_s = full_jitter(failures, longest_s=RETRY_LONGEST_S)
                    waiting = self._spool.journal.undrained
                    log.warning("shots.wait", waiting=waiting, error=repr(error), wait_s=round(wait_s, 2))
                    await asyncio.sleep(wait_s)
                    continue
                break
            self._spool.done(batch)
            items = items[len(batch) :]

    async def _record(self, items: Sequence[Item]) -> None:
        """One transaction. A second time with the same items changes nothing."""
        forgotten: Sequence[UUID] = self._spool.journal.forgotten()
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await forget(connection, forgotten)
            fresh = await move(connection, items)
            known = await _identified(connection, fresh)
            answers = await _counted(connection, known)
            told = await record_shots(
                connection,
                self._producer.id,
                [_message(one) for one in known],
                [one.item.part.entry.actor for one in known],
            )
        self._spool.journal.forget(forgotten)
        leaves_room = {(one.identity.device, one.identity.epoch) for one in known if not one.shot.consecutive}
        self._tell_missing([one for one in told if (one.device, one.epoch) not in leaves_room])
        recorded = sum(one.recorded for one in told)
        self.recorded += recorded
        self.repeated += sum(one.repeated for one in told)
        if recorded:
            self._ring()
        for item in items:
            item.tell(answers.get(item.place, Recorded(0, 0)))

    def _refused(self, item: Item, error: Exception) -> Item:
        """The same without its shots: it is passed over, and stays in the journal for as long as there is room."""
        self.refused += 1
        entry = item.part.entry
        log.error("shot.refused", device=entry.device, raw=entry.sha256, error=repr(error))
        item.fail(error)
        return Item(Part(entry, ()), item.place)

    def _tell_missing(self, told: Sequence[Told]) -> None:
        for one in told:
            key = one.device, one.epoch
            before = self.missing.pop(key, [])
            if not one.missing:
                continue
            self.missing[key] = one.missing
            if _count(one.missing) > _count(before):
                log.warning("shots.missing", device=one.device, epoch=one.epoch, numbers=one.missing[:10])
        for key in list(self.missing)[:-GAPS_REMEMBERED]:
            del self.missing[key]

    async def _adopt(self) -> None:
        """Sees to what another process, or this one in an earlier life, has kept and not recorded."""
        adopted = await asyncio.to_thread(self._spool.journal.adopt)
        failures = 0
        while adopted:
            try:
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    self._spool.journal.begin(await drained(connection, adopted))
            except Exception as error:
                if not is_passing(error):
                    raise
                failures += 1
                log.warning("journal.waits", segments=len(adopted), error=repr(error))
                await asyncio.sleep(full_jitter(failures, longest_s=RETRY_LONGEST_S))
            else:
                log.info("journal.adopted", segments=len(adopted))
                self._spool.look_again()
                return

    async def _adopt_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(ADOPT_EVERY_S)
            await self._adopt()


async def _identified(connection: Connection, items: Sequence[Item]) -> list[_Known]:
    """Each shot's epoch and identity; what is new is remembered."""
    heard = [(item, shot) for item in items for shot in item.part.shots]
    if not heard:
        return []
    lanes = sorted({item.part.entry.lane for item, _ in heard})
    await hold_lanes(connection, lanes)
    memories = await remember(connection, [(item.part.entry.lane, shot.number) for item, shot in heard])
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    known = []
    for item, shot in heard:
        entry = item.part.entry
        epoch, identity = memories[entry.lane].identify(entry.device, shot)
        received_at = entry.at or now
        set_clock(epoch, shot, received_at, live=entry.live)
        known.append(_Known(item, shot, epoch, identity, received_at))
    await write_down(connection, memories)
    return known


async def _counted(connection: Connection, known: Sequence[_Known]) -> dict[tuple[UUID, int], Recorded]:
    """For those who wait for it: how many shots of each item are new, and how many are in the log already."""
    if all(one.item.answer is None for one in known):
        return {}
    rows = await connection.fetch(
        """
        SELECT s.device, s.epoch, s.number
        FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::bigint[])) AS s (device, epoch, number)
        JOIN bus.device_shots AS d ON d.device = s.device AND d.epoch = s.epoch AND d.seen @> s.number
        """,
        [one.identity.device for one in known],
        [one.identity.epoch for one in known],
        [one.identity.number for one in known],
    )
    there = {Identity(*row) for row in rows}
    repeated: Counter[tuple[UUID, int]] = Counter()
    recorded: Counter[tuple[UUID, int]] = Counter()
    for one in known:
        (repeated if one.identity in there else recorded)[one.item.place] += 1
        there.add(one.identity)
    return {place: Recorded(recorded[place], repeated[place]) for place in repeated | recorded}


def _message(one: _Known) -> ShotRecorded:
    shot, identity, entry = one.shot, one.identity, one.item.part.entry
    return ShotRecorded(
        device=identity.device,
        epoch=identity.epoch,
        number=identity.number,
        lane=entry.lane,
        kind=shot.kind,
        miss=shot.miss,
        x_um=shot.x_um,
        y_um=shot.y_um,
        elapsed_ms=shot.elapsed_ms,
        received_at=fired_at(one.epoch, shot, one.received_at, live=entry.live),
        face=shot.face or entry.face,
        raw_sha256=shot.raw_sha256,
        device_at=shot.fired_at,
        device_tenths=shot.device_tenths,
        device_rings=shot.device_rings,
        device_inner_ten=shot.device_inner,
        invalid=shot.invalid,
    )


def _count(gaps: Sequence[tuple[int, int]]) -> int:
    return sum(end - begin for begin, end in gaps)
