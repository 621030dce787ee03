"""A service's process: registration, share and bell are kept while its consumer works, until it is told to stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from bus.backoff import full_jitter
from bus.bell import Bell, Ringer
from bus.connection import Connection, Pool, close, connect, is_passing
from bus.consumer import Consumer
from bus.desk import Desk
from bus.errors import LeaseLost
from bus.lease import Lease
from bus.maintenance import Maintenance
from bus.membership import Membership
from bus.observing import Delivered, Observe, unobserved, untold
from bus.outbox import Outbox
from bus.outside import Office, keep_doing
from bus.partitions import how_many
from bus.producer import Registration
from bus.service import Outside, Service
from bus.tasks import running, set_after, set_within, unless
from bus.trust import Trust

POLL_S: Final = 1.0
POLL_UNHEARD_S: Final = 0.1  # while the bell is not listening
UNSETTLED_FIRST_S: Final = 0.001
UNSETTLED_LONGEST_S: Final = 0.02
COME_BACK_LONGEST_S: Final = 2.0

log = structlog.get_logger(__name__)


class Worker:
    """Runs one service from one database."""

    def __init__(
        self,
        service: Service,
        dsn: str,
        pool: Pool,
        boot: UUID,
        registration: Registration,
        trust: Trust,
        outbox: Outbox,
    ) -> None:
        self._service = service
        self._dsn = dsn
        self._pool = pool
        self._boot = boot
        self.registration = registration
        self._trust = trust
        self.outbox = outbox
        self.observe: Observe = unobserved  # whoever wants to be told of each transaction
        self.delivered: Delivered = untold  # and of each batch
        self.consumers: Sequence[str] = (service.name,)  # for whom the log is kept
        self.application = f"firingline-{service.name}"
        self.bell = Bell(dsn, self.application)
        self.ringer = Ringer(dsn, self.application)
        self.membership: Membership | None = None  # of its present or last turn

    @property
    def partitions_held(self) -> int:
        """How many partitions are its share now."""
        return 0 if self.membership is None else how_many(self.membership.partitions)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; comes back by itself whenever the database or its share is lost."""
        maintenance = Maintenance(self._pool, self._boot, self.consumers)
        async with running(self.bell.run(), self.ringer.run(), maintenance.run()):
            await self._serve(stopping)

    async def _serve(self, stopping: asyncio.Event) -> None:
        if not self.registration.id:
            await unless(stopping, self.registration.register())
        if stopping.is_set():
            return
        async with running(self.registration.keep(), *(self._outside(work) for work in self._service.outside)):
            failures = 0
            while not stopping.is_set():
                try:
                    await self._turn(stopping)
                except Exception as error:
                    if not (isinstance(error, LeaseLost) or is_passing(error)):
                        raise
                    failures += 1
                    wait_s = full_jitter(failures, first_s=0.05, longest_s=COME_BACK_LONGEST_S)
                    log.warning("worker.coming-back", error=repr(error), wait_s=round(wait_s, 3))
                    await set_within(stopping, wait_s)
                else:
                    failures = 0

    async def _outside(self, work: Outside) -> None:
        def office(lease: Lease) -> Office:
            return Office(self._dsn, self._pool, self.outbox, self.bell, self.ringer.ring, lease)

        await keep_doing(work, office, self._dsn, self.application, self._boot)

    async def _turn(self, stopping: asyncio.Event) -> None:
        """Joins the service's workers and does its share, until stopped, or until that or the database is lost."""
        async with (
            own_connection(self._dsn, f"{self.application}/heartbeat") as heartbeat,
            own_connection(self._dsn, f"{self.application}/work") as connection,
        ):
            membership = Membership(heartbeat, self._service, self._boot)
            await unless(stopping, membership.enter())
            if stopping.is_set():
                return
            desk = Desk(self._service, connection, membership, self.outbox, self.ringer.ring, self.observe)
            desk.delivered = self.delivered
            consumer = Consumer(desk, self._trust)
            self.membership = membership
            async with running(membership.keep(self.bell.workers_changed, self.bell.wake)):
                await consumer.open()
                await self._work(consumer, stopping)
            await consumer.close()

    async def _work(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        rung = self.bell.waiter()
        unsettled_s = UNSETTLED_FIRST_S
        try:
            async with running(set_after(stopping, rung)):
                while not stopping.is_set():
                    rung.clear()
                    if await consumer.step():
                        continue
                    if consumer.unsettled:
                        await set_within(rung, unsettled_s)
                        unsettled_s = min(UNSETTLED_LONGEST_S, unsettled_s * 2)
                        continue
                    unsettled_s = UNSETTLED_FIRST_S
                    if not stopping.is_set() and not await set_within(rung, self._patience_s(consumer)):
                        await consumer.write_progress()
        finally:
            self.bell.forget(rung)

    def _patience_s(self, consumer: Consumer) -> float:
        poll_s = POLL_S * random.uniform(0.8, 1.2) if self.bell.listening else POLL_UNHEARD_S  # noqa: S311
        due_s = consumer.patience_s()
        return poll_s if due_s is None else min(poll_s, due_s)


@asynccontextmanager
async def own_connection(dsn: str, application: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn, application)
    try:
        yield connection
    finally:
        await close(connection)
