"""Prometheus metrics: what a process counts itself, and what it reads from the database when it is asked.

Each process shows its own on a port of its own, never on the public one; with the database away it still answers.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from errno import EADDRINUSE
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bus.bell import Bell
from bus.connection import Connection, Pool, is_passing
from bus.service import Service
from ops.services import SERVICES, WORKERS_AT_MOST
from ops.settings import Settings

PLACES: Final = ("gateway", *SERVICES)  # the order of the ports
ACQUIRE_TIMEOUT_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 3.0
LOOK_AHEAD: Final = 100_000  # positions; whoever is further behind is told as this far at least
MESSAGES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
HEALTH: Final = {
    "horizon_unsettled": "Positions given out that no reader may pass yet: appends that have not ended.",
    "horizon_age_seconds": "Age of the oldest message that is committed and that readers must still wait for.",
    "notify_queue_usage": "Share of PostgreSQL's NOTIFY queue that is in use; 1 is full.",
    "partitions_ahead": "Partitions of the log that are ready beyond the one in use.",
}
WAITING: Final = {
    "parked": "Streams whose head is tried again in a while.",
    "blocked": "Streams that wait for a pause or an open circuit to end, untried.",
    "held": "Streams that wait for a person.",
    "dead": "Messages given up, for a person to look at.",
    "requeued": "Dead letters put back, and not tried yet.",
}
CIRCUIT: Final = {"closed": 0.0, "half-open": 0.5, "open": 1.0}

log = structlog.get_logger(__name__)


class Metrics:
    """One process's metrics."""

    def __init__(self, name: str, bell: Bell, pool: Pool, services: Iterable[Service]) -> None:
        self._name = name
        self._pool = pool
        self._services = list(services)
        self._alone = asyncio.Lock()
        self.registry = CollectorRegistry()
        made = self._gauge
        made("bell_listening", "Whether the bell is heard; readers poll faster while it is not.").set_function(
            lambda: bell.listening
        )
        self._database_up = made("database_up", "Whether the database answered when the metrics were asked for.")
        self._health = {key: made(key, text) for key, text in HEALTH.items()}
        self._lag_events = made(
            "lag_events", f"Messages it has not handled, {LOOK_AHEAD} positions on at most.", "service"
        )
        self._lag_positions = made("lag_positions", "Positions of the log that it has not passed.", "service")
        self._lag_seconds = made("lag_seconds", "Age of the oldest message that it has not handled.", "service")
        self._waiting = {key: made(key, text, "service") for key, text in WAITING.items()}
        self._paused = made("paused", "Pauses by hand: of it, its handlers, streams.", "service")
        self._circuit = made("circuit_open", "1: open; 0.5: one message probes; 0: closed.", "service", "circuit")
        self._messages = self._histogram("transaction_messages", "Messages taken in one commit.", MESSAGES)
        self._seconds = self._histogram(
            "transaction_seconds", "How long a transaction lasts, COMMIT included.", SECONDS
        )

        self._delivery = self._histogram(
            "delivery_seconds",
            "From a message's append until it was read to be handled: the oldest of each batch.",
            SECONDS,
        )
        self._pool_wait = made("pool_wait_seconds", "How long the metrics just waited for a connection of the pool.")
        busy = made("pool_connections", "Connections of the pool that are open, in use or idle.", "state")
        busy.labels("used").set_function(lambda: pool.get_size() - pool.get_idle_size())
        busy.labels("idle").set_function(pool.get_idle_size)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="firingline", registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, ["work"], namespace="firingline", registry=self.registry, buckets=buckets)

    def share(self, partitions: Callable[[], int]) -> None:
        """Shows how many of its service's partitions this process works on."""
        self._gauge("partitions_held", "How many of the 64 partitions of its service it works on.", "service").labels(
            self._name
        ).set_function(partitions)

    def observe(self, messages: int, seconds: float) -> None:
        """Notes one commit."""
        self._messages.labels(self._name).observe(messages)
        self._seconds.labels(self._name).observe(seconds)

    def delivered(self, waited_s: float) -> None:
        """Notes for how long the oldest message of a batch had waited, by the database's clock."""
        self._delivery.labels(self._name).observe(max(0.0, waited_s))

    async def text(self) -> bytes:
        """What there is to tell, in Prometheus's words."""
        async with self._alone:
            try:
                began = time.monotonic()
                async with asyncio.timeout(LOOK_TIMEOUT_S), self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    self._pool_wait.set(time.monotonic() - began)
                    await self._look(connection)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("metrics.without-the-database", error=repr(error))
                self._pool_wait.set(time.monotonic() - began)
                self._database_up.set(0)
            else:
                self._database_up.set(1)
            return generate_latest(self.registry)

    async def _look(self, connection: Connection) -> None:
        horizon: int = await connection.fetchval("SELECT bus.horizon()")
        health = await _health(connection, horizon)
        for key, gauge in self._health.items():
            gauge.set(health[key])
        for service in self._services:
            positions, events, seconds = await _lag(connection, service, horizon)
            self._lag_positions.labels(service.name).set(positions)
            self._lag_events.labels(service.name).set(events)
            self._lag_seconds.labels(service.name).set(seconds)
        if self._name in SERVICES:
            waiting = await _waiting(connection, self._name)
            for key, gauge in self._waiting.items():
                gauge.labels(self._name).set(waiting[key])
            self._paused.labels(self._name).set(
                await connection.fetchval("SELECT count(*) FROM bus.pause WHERE consumer = $1", self._name)
            )
            for row in await connection.fetch("SELECT circuit, state FROM bus.circuit WHERE consumer = $1", self._name):
                self._circuit.labels(self._name, row["circuit"]).set(CIRCUIT[row["state"]])


@asynccontextmanager
async def shown(metrics: Metrics, name: str, settings: Settings) -> AsyncIterator[None]:
    """Shows a process's metrics at /metrics while the block runs, if a port is set and to be had."""
    if settings.metrics_port == 0:
        yield
        return

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=await metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    first = settings.metrics_port + PLACES.index(name)
    try:
        await _show(runner, settings.metrics_host, range(first, first + WORKERS_AT_MOST * len(PLACES), len(PLACES)))
        yield
    finally:
        await runner.cleanup()


async def _show(runner: web.AppRunner, host: str, ports: Sequence[int]) -> None:
    """Shows them on the first of these ports that is free: a service's second worker may be on this machine too."""
    for port in ports:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:  # no reason not to work
            if port == ports[-1] or getattr(error, "errno", None) != EADDRINUSE:
                log.error("metrics.not-shown", host=host, port=port, error=repr(error))  # noqa: TRY400
                return
        else:
            log.info("metrics.shown", host=host, port=port)
            return


async def _health(connection: Connection, horizon: int) -> dict[str, float]:
    row = await connection.fetchrow(
        """
        SELECT greatest(0, s.last_value - $1) AS horizon_unsettled,
               coalesce((
                   SELECT extract(epoch FROM clock_timestamp() - min(o.at)) FROM bus.outbox AS o WHERE o.position > $1
               ), 0)::float8 AS horizon_age_seconds,
               pg_notification_queue_usage() AS notify_queue_usage,
               bus.partitions_ahead() AS partitions_ahead
        FROM bus.outbox_position AS s
        """,
        horizon,
    )
    assert row is not None
    return dict(row)


async def _lag(connection: Connection, service: Service, horizon: int) -> tuple[int, int, float]:
    """How many positions and messages a service is behind, and the age of the oldest that it has not handled."""
    row = await connection.fetchrow(
        """
        WITH reading AS MATERIALIZED (SELECT bus.cursors_of($1) AS cursors)
        SELECT greatest(0, $2 - c.lowest) AS positions, w.events, coalesce(w.seconds, 0)::float8 AS seconds
        FROM reading AS r
        CROSS JOIN LATERAL (SELECT min(u) AS lowest FROM unnest(r.cursors) AS u) AS c
        CROSS JOIN LATERAL (
            SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(o.at)) AS seconds
            FROM bus.outbox AS o
            WHERE o.position > c.lowest AND o.position <= least($2, c.lowest + $3)
              AND o.position > r.cursors[o.partition + 1]
              AND o.topic = ANY ($4::bus.topic[]) AND o.name = ANY ($5::text[])
        ) AS w
        """,
        service.name,
        horizon,
        LOOK_AHEAD,
        service.topics,
        service.catalogue.names,
    )
    assert row is not None
    return row["positions"], row["events"], row["seconds"]


async def _waiting(connection: Connection, consumer: str) -> dict[str, int]:
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM bus.parked
                WHERE consumer = $1 AND NOT held AND retry_at < 'infinity') AS parked,
               (SELECT count(*) FROM bus.parked
                WHERE consumer = $1 AND NOT held AND retry_at = 'infinity') AS blocked,
               (SELECT count(*) FROM bus.parked WHERE consumer = $1 AND held) AS held,
               (SELECT count(*) FROM bus.dead_letter WHERE consumer = $1 AND state = 'dead') AS dead,
               (SELECT count(*) FROM bus.dead_letter WHERE consumer = $1 AND state = 'requeued') AS requeued
        """,
        consumer,
    )
    assert row is not None
    return dict(row)
