"""Shots pour in by two ways while parts are killed: what was told counts, and counts once."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg

from bus.identity import uuid7
from handlers.stats.events import ShotRecorded
from ops.credentials import load_or_make
from ops.migrate import bring_up_to_date
from ops.postgres import Cluster
from ops.settings import Settings
from simulation.target import Target
from tests.database import Database
from tests.gateway.tracking.run_tracking import Plan
from tests.gateway.tracking.test_freetarget import shots

DEADLINE_S = 60.0


@dataclass
class Gateway:
    """A process that tracks, and what was posted to it."""

    plan: Plan
    words: Path
    process: asyncio.subprocess.Process | None = None
    acknowledged: list[int] = field(default_factory=list)
    kept: int = 0

    async def start(self) -> None:
        with self.words.open("ab") as words:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.gateway.tracking.run_tracking", self.plan.model_dump_json()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=words,
            )

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def post(self, number: int) -> bool:
        """Whether the shot was acknowledged; not if the process died over it."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        shot = {"epoch": "e", "number": number, "x_um": number, "y_um": 0}
        try:
            self.process.stdin.write(json.dumps({"shots": [shot]}).encode() + b"\n")
            await self.process.stdin.drain()
            answer = await self.process.stdout.readline()
        except ConnectionError:
            return False
        if not answer.endswith(b"\n") or answer.startswith(b"refused"):
            return False
        self.kept += json.loads(answer)["kept"]
        self.acknowledged.append(number)
        return True

    async def pour(self, numbers: range) -> None:
        """Post shots one after the other, each until it is acknowledged."""
        for number in numbers:
            while not await self.post(number):
                await asyncio.sleep(0.02)


@dataclass
class Place:
    """A PostgreSQL of the test's own, a target, and the gateway between them."""

    cluster: Cluster
    database: Database
    target: Target
    gateway: Gateway

    async def numbers(self, device: str) -> list[int]:
        """The shots of a device in the log, in its order."""
        connection = await self.database.connect("postgres")
        rows = await connection.fetch(
            "SELECT revision FROM bus.outbox WHERE name = $1 AND body ->> 'device' = $2 ORDER BY position",
            ShotRecorded.name,
            device,
        )
        await connection.close()
        return [row["revision"] for row in rows]

    async def until_counted(self, device: str, count: int) -> list[int]:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with suppress(OSError, asyncpg.PostgresError):
                    if len(found := await self.numbers(device)) >= count:
                        return found
                await asyncio.sleep(0.1)


@asynccontextmanager
async def place(cluster: Cluster, settings: Settings, tmp_path: Path) -> AsyncIterator[Place]:
    database = Database("own", settings)
    connection = await database.connect("gateway")
    producer = await connection.fetchval(
        "SELECT bus.register_producer($1, $2, $3, 'a token', $4)",
        uuid7(), uuid7(), [ShotRecorded.name], datetime.now(UTC) + timedelta(minutes=30),
    )  # fmt: skip
    await connection.close()
    async with Target() as target:
        plan = Plan(
            dsn=database.url("gateway"), home=tmp_path / "tracking", producer=producer,
            target_address=f"freetarget://target-1@127.0.0.1:{target.port}",
        )  # fmt: skip
        gateway = Gateway(plan, tmp_path / "words")
        await gateway.start()
        try:
            yield Place(cluster, database, target, gateway)
        finally:
            await gateway.kill()


async def test_a_gateway_killed_again_and_again_loses_nothing_and_counts_nothing_twice(
    cluster: Cluster, database: Database, tmp_path: Path
) -> None:
    dice = Random(7)
    async with place(cluster, database.settings, tmp_path) as here:
        gateway = here.gateway
        await here.target.has_client()
        pouring = asyncio.create_task(gateway.pour(range(1, 301)))
        fired = 0
        for _ in range(5):
            for _ in range(15):
                here.target.fire(shots(1, first=fired + 1)[0])
                fired += 1
                await asyncio.sleep(dice.uniform(0, 0.03))
            await gateway.kill()
            here.target.fire(shots(1, first=fired + 1)[0])  # while nobody listens
            fired += 1
            await gateway.start()
        await pouring
        assert await here.until_counted("poster", 300) == list(range(1, 301))
        assert sorted(await here.until_counted("target-1", fired)) == list(range(1, fired + 1))


async def test_while_postgresql_is_away_shots_are_kept_over_a_kill_and_recorded_in_order(
    tmp_path: Path, home: Path
) -> None:
    with Cluster(tmp_path / "postgres", password="superuser of a test") as cluster:
        connection = await asyncpg.connect(cluster.url())
        await connection.execute("CREATE DATABASE own")
        await connection.close()
        await bring_up_to_date(cluster.url("own"), load_or_make(home))
        settings = Settings(home=home, database_url=cluster.url("own"))
        async with place(cluster, settings, tmp_path) as here:
            gateway = here.gateway
            await here.target.has_client()
            await gateway.pour(range(1, 51))
            here.target.fire(shots(1)[0])
            await here.until_counted("target-1", 1)
            kept_before = gateway.kept  # none, unless the machine is so busy that one was not recorded in time
            await asyncio.to_thread(cluster.stop)
            await here.target.play(shots(150, first=2), 0.002)  # more than the target itself remembers
            await gateway.pour(range(51, 61))
            await gateway.kill()
            await gateway.start()
            await gateway.pour(range(61, 66))
            assert gateway.kept - kept_before == 15
            await asyncio.to_thread(cluster.start)
            await gateway.pour(range(66, 71))
            assert await here.until_counted("poster", 70) == list(range(1, 71))
            assert await here.until_counted("target-1", 151) == list(range(1, 152))
