"""A gateway's database side, with a registered producer and nothing else of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from bus.connection import Connection, Pool, connect_pool
from bus.identity import uuid7
from bus.tasks import running
from gateway.tracking.journal import Entry, Journal, read
from gateway.tracking.recorder import Recorder
from gateway.tracking.spool import Part, Recorded, Spool
from gateway.tracking.tracking import Tracking
from gateway.tracking.ways import decode
from handlers.stats.events import ShotRecorded
from tests.database import Database


@dataclass
class Producer:
    id: int


@dataclass
class Lane:
    lane: str
    discipline: str
    target_address: str


@dataclass
class Recording:
    """A recorder at work, with the spool that it reads."""

    recorder: Recorder
    spool: Spool

    async def record(self, parts: Sequence[Part]) -> Recorded:
        told = await self.recorder.take(parts)
        assert told is not None, "nothing holds it up"
        return told


@dataclass
class Gateway:
    """What a gateway process has: a pool, a registration, a boot."""

    database: Database
    pool: Pool
    producer: Producer
    boot: UUID
    home: Path
    rings: list[None] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    journals: list[Journal] = field(default_factory=list)

    async def shots(self) -> list[ShotRecorded]:
        """The shots in the log, in order."""
        rows = await self.pool.fetch("SELECT body FROM bus.outbox WHERE name = $1 ORDER BY position", ShotRecorded.name)
        return [ShotRecorded.model_validate_json(row["body"]) for row in rows]

    async def now(self) -> datetime:
        at: datetime = await self.pool.fetchval("SELECT clock_timestamp()")
        return at

    def journal(self, **bounds: int) -> Journal:
        """A journal in the gateway's folder; each process has one of its own."""
        self.journals.append(Journal(self.home / "frames", self.home / "journal.key", **bounds))
        return self.journals[-1]

    def kept(self) -> list[Entry]:
        """What stands in the journal, the oldest first."""
        return list(read(self.home / "frames", self.home / "journal.key"))

    def idle(self, journal: Journal | None = None) -> Recording:
        """A recorder that does not run yet."""
        spool = Spool(journal or self.journal(), decode)
        return Recording(Recorder(self.pool, self.producer, lambda: self.rings.append(None), spool), spool)

    @asynccontextmanager
    async def recording(self, journal: Journal | None = None) -> AsyncIterator[Recording]:
        idle = self.idle(journal)
        async with running(idle.recorder.run()):
            yield idle
        idle.spool.journal.close()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Tracking]:
        """Tracking of this gateway's lanes."""
        tracking, stopping = self.tracking(), asyncio.Event()
        task = asyncio.create_task(tracking.run(stopping))
        try:
            yield tracking
        finally:
            stopping.set()
            await task

    def tracking(self) -> Tracking:
        async def lanes(_: Connection) -> Sequence[Lane]:
            return list(self.lanes)

        return Tracking(
            dsn=self.database.url("gateway"),
            pool=self.pool,
            boot=uuid7(),
            producer=self.producer,
            ring=lambda: self.rings.append(None),
            targets=lanes,
            journal=self.journal(),
            mappings=self.home / "mappings",
        )


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    pool = await connect_pool(database.url("gateway"), "test", most=4)
    boot = uuid7()
    producer = await pool.fetchval(
        "SELECT bus.register_producer($1, $2, $3, 'a token', $4)",
        boot,
        uuid7(),
        [ShotRecorded.name],
        await pool.fetchval("SELECT clock_timestamp()") + timedelta(minutes=30),
    )
    made = Gateway(database, pool, Producer(producer), boot, tmp_path)
    yield made
    for journal in made.journals:
        journal.close()
    await pool.close()
