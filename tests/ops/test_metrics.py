"""Metrics as Prometheus scrapes them: from a real process's parts, over a socket of their own."""

import asyncio
import contextlib
import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from bus.bell import Bell
from bus.connection import close_pool, connect_pool
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.producer import Registration
from bus.worker import Worker
from gateway.routes import ROUTES
from ops.metrics import PLACES, Metrics, shown
from ops.settings import Settings
from ops.worker import _run
from tests.bus import toy
from tests.bus.test_consumer import at_work
from tests.database import Database
from tests.handlers.services_at_work import unsigned

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def booking(database: Database):
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    await admin.close()
    connection = await database.connect("booking")
    yield connection
    await connection.close()


@pytest.fixture
async def metrics(database: Database):
    pool = await connect_pool(database.url("booking"), "test", most=2)
    made = Metrics("booking", Bell(database.url("booking"), "test"), pool, [toy.toy()])
    made.share(lambda: 64)
    yield made
    await close_pool(pool)


def at(settings: Settings, port: int) -> Settings:
    return replace(settings, metrics_port=port - PLACES.index("booking"))


async def scrape(port: int) -> dict[str, float]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        families = text_string_to_metric_families(await answer.text())
        return {sample.name: sample.value for family in families for sample in family.samples}


async def test_lag_and_what_waits_are_told_and_the_lag_goes_when_it_is_done(
    database: Database, booking: asyncpg.Connection, metrics: Metrics, unused_tcp_port: int
) -> None:
    producer = await toy.register(booking, toy.NAMES)
    await toy.append(booking, producer, *(toy.Add(tally="a", amount=n) for n in range(5)), toy.Put(tally="b"))
    await booking.execute(
        """
        INSERT INTO bus.parked (consumer, stream, head, last, attempts, retry_at, held, cause, error)
        VALUES ('booking', 'x', 1, 1, 8, now(), true, 'c', 'e'), ('booking', 'y', 1, 1, 1, now(), false, 'c', 'e'),
               ('booking', 'w', 1, 1, 0, 'infinity', false, 'c', 'e')
        """
    )
    await booking.execute(
        """
        INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error)
        VALUES ('booking', 1, 'z', 'n', 1, 'c', 'e')
        """
    )
    await booking.execute("INSERT INTO bus.pause VALUES ('booking', 'stream', 'w', '')")
    await booking.execute("INSERT INTO bus.circuit VALUES ('booking', 'provider', 'half-open', now(), 1)")
    async with shown(metrics, "booking", at(database.settings, unused_tcp_port)):
        told = await scrape(unused_tcp_port)
        assert told["firingline_lag_events"] == 5
        assert told["firingline_lag_positions"] >= 6
        assert told["firingline_lag_seconds"] > 0
        assert [told[f"firingline_{key}"] for key in ("parked", "held", "dead", "requeued", "blocked")] == [
            1,
            1,
            1,
            0,
            1,
        ]
        assert told["firingline_paused"] == 1
        assert told["firingline_circuit_open"] == 0.5
        assert told["firingline_database_up"] == 1
        assert told["firingline_bell_listening"] == 0
        assert told["firingline_partitions_ahead"] == 3
        assert 0 <= told["firingline_notify_queue_usage"] < 1
        async with at_work(database, toy.toy(), producer) as consumer:
            consumer._desk.observe, consumer._desk.delivered = metrics.observe, metrics.delivered
            await consumer.step()
        told = await scrape(unused_tcp_port)
        assert told["firingline_lag_events"] == told["firingline_lag_seconds"] == 0
        assert (told["firingline_transaction_messages_count"], told["firingline_transaction_messages_sum"]) == (1, 5)
        assert told["firingline_transaction_seconds_sum"] > 0
        assert told["firingline_delivery_seconds_count"] == 1
        assert 0 < told["firingline_delivery_seconds_sum"] < 60


async def test_a_pool_that_is_used_up_shows(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.metrics.ACQUIRE_TIMEOUT_S", 0.2)
    text = (await metrics.text()).decode()
    assert 'firingline_pool_connections{state="used"} 0.0' in text
    pool = metrics._pool
    lent = [await pool.acquire() for _ in range(pool.get_max_size())]
    text = (await metrics.text()).decode()
    assert f'firingline_pool_connections{{state="used"}} {float(len(lent))}' in text
    waited = re.search(r"^firingline_pool_wait_seconds (\S+)$", text, re.MULTILINE)
    assert waited is not None
    assert float(waited[1]) >= 0.19
    for connection in lent:
        await pool.release(connection)


async def test_an_append_that_does_not_end_shows_in_the_horizon(
    database: Database, booking: asyncpg.Connection, metrics: Metrics
) -> None:
    producer = await toy.register(booking, toy.NAMES)
    open_ = await database.connect("booking")
    other = await toy.register(open_, toy.NAMES)
    async with open_.transaction():
        await toy.append(open_, other, toy.Put(tally="a"))
        await toy.append(booking, producer, toy.Put(tally="b"))
        text = (await metrics.text()).decode()
        assert "firingline_horizon_unsettled 2.0" in text
        assert "firingline_horizon_age_seconds 0.0\n" not in text
    text = (await metrics.text()).decode()
    assert "firingline_horizon_unsettled 0.0" in text
    assert "firingline_horizon_age_seconds 0.0\n" in text
    await open_.close()


async def test_with_the_database_away_it_answers_and_says_so(unused_tcp_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none"
    pool = await connect_pool(url, "test", most=1)
    metrics = Metrics("booking", Bell(url, "test"), pool, [toy.toy()])
    assert "firingline_database_up 0.0" in (await metrics.text()).decode()
    await close_pool(pool)


async def test_every_metric_is_documented_and_every_documented_one_exists(metrics: Metrics) -> None:
    text = (await metrics.text()).decode()
    shown_ = set(re.findall(r"^# TYPE (firingline_\w+)", text, re.MULTILINE))
    told = set(re.findall(r"firingline_[a-z_]+", (ROOT / "docs" / "operations.md").read_text()))
    assert told == {name for name in shown_ if not name.endswith("_created")}


async def test_nothing_is_shown_unless_a_port_is_set(metrics: Metrics, database: Database) -> None:
    async with shown(metrics, "booking", database.settings):
        assert not [one for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_LISTEN]


async def test_a_worker_at_work_shows_its_own(
    database: Database, booking: asyncpg.Connection, unused_tcp_port: int
) -> None:
    pool = await connect_pool(database.url("booking"), "test", most=3)
    boot, stopping, service = uuid7(), asyncio.Event(), toy.toy()
    registration = Registration(pool, boot, service.may_append, unsigned)
    outbox = Outbox(service, registration)
    made = Worker(service, database.url("booking"), pool, boot, registration, toy.AllTrusted(), outbox)
    working = asyncio.create_task(_run(made, "booking", at(database.settings, unused_tcp_port), pool, stopping))
    await toy.append(booking, await toy.register(booking, toy.NAMES), toy.Add(tally="a", amount=1))
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.05)
            with contextlib.suppress(aiohttp.ClientConnectionError):
                told = await scrape(unused_tcp_port)
                if told.get("firingline_transaction_messages_sum") == told["firingline_bell_listening"] == 1:
                    break
    stopping.set()
    await working
    await close_pool(pool)


async def test_a_port_that_is_taken_or_none_keeps_nobody_from_work(
    monkeypatch: pytest.MonkeyPatch, metrics: Metrics, database: Database, unused_tcp_port: int
) -> None:
    settings = at(database.settings, unused_tcp_port)
    with structlog.testing.capture_logs() as said:
        async with shown(metrics, "booking", settings), shown(metrics, "booking", settings):
            assert await scrape(unused_tcp_port)
            assert await scrape(unused_tcp_port + len(PLACES)), "a second worker beside the first"
        monkeypatch.setattr("ops.metrics.WORKERS_AT_MOST", 1)
        async with shown(metrics, "booking", settings), shown(metrics, "booking", settings):
            pass
        async with shown(metrics, "booking", replace(settings, metrics_port=65535)):
            pass
    events = [one["event"].removeprefix("metrics.") for one in said if "shown" in one["event"]]
    assert events == ["shown", "shown", "shown", "not-shown", "not-shown"]


def test_the_public_port_has_no_metrics() -> None:
    assert not [route.path for route in ROUTES if "metrics" in route.path]
