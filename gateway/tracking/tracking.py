"""The targets' way into the log: one connection a target, one recorder for all, and the shots that are posted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool, is_passing
from bus.outbox import Producer
from bus.tasks import running, set_within, unless
from gateway.problems import invalid
from gateway.tracking import push
from gateway.tracking.address import Address
from gateway.tracking.clock import DatabaseClock
from gateway.tracking.freetarget import Counts, FreeTarget
from gateway.tracking.journal import Entry, Journal
from gateway.tracking.leases import Leases
from gateway.tracking.recorder import Heard, Recorded, Recorder

LOOK_EVERY_S: Final = 2.0
DRAIN_S: Final = 1.0

log = structlog.get_logger(__name__)


class Target(Protocol):
    """A lane with an electronic target, as booking shows it."""

    @property
    def lane(self) -> str: ...
    @property
    def discipline(self) -> str: ...
    @property
    def target_address(self) -> str: ...


ListTargets = Callable[[Connection], Awaitable[Sequence[Target]]]


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How it stands with one target."""

    lane: str
    device: str
    connected: bool  # by us; another gateway may have it
    counts: Counts


class Tracking:
    """Follows the targets of all lanes."""

    def __init__(
        self,
        *,
        dsn: str,
        pool: Pool,
        boot: UUID,
        producer: Producer,
        ring: Callable[[], None],
        targets: ListTargets,
        journal: Journal,
    ) -> None:
        self._pool = pool
        self._targets = targets
        self._journal = journal
        self._clock = DatabaseClock()
        self._leases = Leases(dsn, "firingline-gateway", boot)
        self.recorder = Recorder(pool, producer, ring)
        self._tasks: dict[Address, asyncio.Task[None]] = {}
        self._followed: dict[Address, tuple[Target, FreeTarget]] = {}
        self._complained: set[tuple[str, str]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows the targets until `stopping` is set; what was heard by then is still recorded, if that is quick."""
        async with running(self.recorder.run(), self._leases.run(), self._clock.keep(self._pool)):
            try:
                while not stopping.is_set():
                    await self._look()
                    await set_within(stopping, LOOK_EVERY_S)
            finally:
                await self._unfollow(set(self._tasks))
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self.recorder.drained()
            except TimeoutError:
                log.warning("shots.left", advice="the targets repeat them at the next connection")
        await asyncio.to_thread(self._journal.close)

    async def push(self, raw: bytes, device: str, lane: str) -> push.PushResult:
        """Records what a device posted for its lane, and returns after COMMIT.

        Raises Problem for what is wrong with it, and what `away.is_passing` recognises while the database is away:
        posted again, nothing counts twice.
        """
        read = push.read(raw)
        at = self._clock.now()
        kept = [Entry.of(device, "http", at, part, wrong) for part, wrong in read.parts]
        await asyncio.to_thread(self._journal.keep, kept)
        if read.wrong is not None:
            raise push.refused(read.wrong)
        live = len(read.shots) == 1
        heard = [Heard(device, lane, shot, None, live) for shot in read.shots]
        told = await self._record(heard, device) if heard else Recorded(0, 0)
        return push.PushResult(recorded=told.recorded, repeated=told.repeated, ignored=read.ignored)

    async def _record(self, heard: Sequence[Heard], device: str) -> Recorded:
        try:
            return await self.recorder.record(heard, f"device:{device}")
        except asyncpg.ProgramLimitExceededError as error:
            detail = "These numbers leave too many gaps to be a device's own."
            raise invalid({"pointer": "#/shots", "detail": detail}) from error

    def status(self) -> list[TargetStatus]:
        return [
            TargetStatus(target.lane, address.device, connection.connected, connection.counts)
            for address, (target, connection) in self._followed.items()
        ]

    async def _look(self) -> None:
        """Follows lanes that are new, and lets go of those that are gone or whose target stands elsewhere."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                listed = await self._targets(connection)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("targets.not-listed", error=repr(error))
            return
        wanted: dict[Address, Target] = {}
        for target in listed:
            address = Address.parse(target.target_address, target.lane)
            if address is not None:
                wanted[address] = target
            elif (target.lane, target.target_address) not in self._complained:
                self._complained.add((target.lane, target.target_address))
                log.error("target.no-address", lane=target.lane, address=target.target_address)
        await self._unfollow({address for address in self._followed if self._is_over(address, wanted.get(address))})
        for address in wanted.keys() - self._followed.keys():
            self._follow(address, wanted[address])

    def _is_over(self, address: Address, wanted: Target | None) -> bool:
        target, _ = self._followed[address]
        return (
            wanted is None
            or (target.lane, target.discipline) != (wanted.lane, wanted.discipline)
            or self._tasks[address].done()  # it failed; it is followed anew
        )

    def _follow(self, address: Address, target: Target) -> None:
        connection = FreeTarget(address, target.lane, target.discipline, self._clock, self._journal, self.recorder.put)
        self._followed[address] = target, connection
        self._tasks[address] = asyncio.create_task(self._under_lease(address, connection))

    async def _unfollow(self, addresses: set[Address]) -> None:
        tasks = [self._tasks.pop(address) for address in addresses]
        for address in addresses:
            del self._followed[address]
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("target.failed", error=repr(ended))

    async def _under_lease(self, address: Address, connection: FreeTarget) -> None:
        """Reads a target for as long as the lease for it is ours."""
        while True:
            async with self._leases.holding(f"target:{address.device}") as held:
                await unless(held.lost, connection.run())
