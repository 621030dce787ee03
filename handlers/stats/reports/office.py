"""Makes the reports that were ordered: each in a process of its own, and what came of it is told in the log."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Final
from uuid import UUID

import structlog

from bus.connection import Connection
from bus.outside import Office
from bus.service import Effect
from bus.tasks import running, set_within
from handlers.stats.model.reports import KEPT_FOR, File, failed, made
from handlers.stats.reports.limits import TOGETHER, TRIES
from handlers.stats.reports.order import Order, Task, Unmakeable, Word
from handlers.stats.reports.process import Away, make_in_a_process
from handlers.stats.store import reports as store

POLL_S: Final = 1.0
SWEEP_EVERY_S: Final = 60.0
AWAY_S: Final = 1.0
GAVE_UP: Final = f"{TRIES} times the process that made it was ended from outside; try it once more."

log = structlog.get_logger(__name__)


async def make_reports(office: Office) -> None:
    """Makes what is ordered, the oldest first and two at a time, and destroys files that expired; until cancelled."""
    making = _Making(office)
    async with running(*(making.go_on() for _ in range(TOGETHER))):
        await _sweep(office)


async def _sweep(office: Office) -> None:
    while True:
        async with office.connection() as connection:
            while await store.sweep(connection) == store.SWEPT_AT_ONCE:
                pass
        await asyncio.sleep(SWEEP_EVERY_S)


class _Making:
    """The reports that are being made in this process."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._begun: set[UUID] = set()
        self._choosing = asyncio.Lock()

    async def go_on(self) -> None:
        rung = self._office.bell.waiter()
        try:
            while True:
                rung.clear()
                order = await self._next()
                if order is None:
                    await set_within(rung, POLL_S)
                    continue
                try:
                    await self._make(order)
                finally:
                    self._begun.discard(order.report)
        finally:
            self._office.bell.forget(rung)

    async def _next(self) -> Order | None:
        async with self._choosing, self._office.connection() as connection:
            order = await store.next_order(connection, self._begun)
            if order is not None:
                self._begun.add(order.report)
            return order

    async def _make(self, order: Order) -> None:
        async with self._office.under_lease() as connection:
            begun = await store.begin(connection, order.report)
            at = await connection.fetchval("SELECT clock_timestamp()")
        if begun > TRIES:
            await self._failed(order, GAVE_UP)
            return

        async def tell(word: Word) -> None:
            async with self._office.connection() as connection:
                await store.tell_progress(connection, order.report, word.stage, word.percent)

        try:
            content = await make_in_a_process(Task(order=order, dsn=self._office.dsn, at=at), tell)
        except Unmakeable as reason:
            await self._failed(order, str(reason))
        except Away:
            async with self._office.connection() as connection:
                await store.end(connection, order.report)
            await asyncio.sleep(AWAY_S)
        else:
            await self._made(order, content)

    async def _made(self, order: Order, content: bytes) -> None:
        file = File(len(content), sha256(content).hexdigest())
        async with self._office.under_lease() as connection:
            at = await connection.fetchval("SELECT clock_timestamp()")
            said = made(await store.find(connection, order.report), file, at)
            if said:
                await store.keep_file(connection, order.report, content, at + KEPT_FOR)
            await self._say(connection, order, said)
        self._office.ring()
        log.info("report.made", report=str(order.report), kind=order.kind, format=order.format, bytes=file.size_bytes)

    async def _failed(self, order: Order, reason: str) -> None:
        async with self._office.under_lease() as connection:
            at = await connection.fetchval("SELECT clock_timestamp()")
            await self._say(connection, order, failed(await store.find(connection, order.report), reason, at))
        self._office.ring()
        log.warning("report.failed", report=str(order.report), kind=order.kind, reason=reason)

    async def _say(self, connection: Connection, order: Order, said: list[Effect]) -> None:
        await store.end(connection, order.report)
        await self._office.outbox.say(
            connection, said, actor="service:stats", correlation=order.report, cause=order.report
        )
