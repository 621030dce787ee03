"""A gateway's database side, with a registered producer and nothing else of the gateway."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from bus.connection import Connection, Pool, connect_pool
from bus.identity import uuid7
from gateway.tracking.journal import Journal
from gateway.tracking.recorder import Recorder
from gateway.tracking.tracking import Tracking
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
class Gateway:
    """What a gateway process has: a pool, a registration, a boot."""

    database: Database
    pool: Pool
    producer: Producer
    boot: UUID
    home: Path
    journal: Journal
    rings: list[None] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)

    async def shots(self) -> list[ShotRecorded]:
        """The shots in the log, in order."""
        rows = await self.pool.fetch("SELECT body FROM bus.outbox WHERE name = $1 ORDER BY position", ShotRecorded.name)
        return [ShotRecorded.model_validate_json(row["body"]) for row in rows]

    async def now(self) -> datetime:
        at: datetime = await self.pool.fetchval("SELECT clock_timestamp()")
        return at

    def recorder(self) -> Recorder:
        return Recorder(self.pool, self.producer, lambda: self.rings.append(None))

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
            journal=self.journal,
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
    journal = Journal(tmp_path / "frames", tmp_path / "journal.key")
    yield Gateway(database, pool, Producer(producer), boot, tmp_path, journal)
    journal.close()
    await pool.close()
