"""The listening process of `firingline bench latency`: a real worker, or NOTIFY and a SELECT."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from asyncpg import Record

from bench.child import Answer, serve
from bench.consuming import hears
from bench.ground import registered
from bus.connection import Connection, close_pool, connect_pool
from bus.identity import uuid7
from bus.message import Event
from bus.outbox import Outbox
from bus.reading import MESSAGE_COLUMNS
from bus.service import Given
from bus.trust import Trust
from bus.worker import Worker, own_connection
from handlers.booking.events import SessionStarted
from ops.service_tokens import Statements
from ops.settings import Settings

SERVICE: Final = "stats"
CHANNEL: Final = "firingline_bench"


class Notes:
    """When each event of one stretch arrived, until the last one has; those of earlier stretches are passed over."""

    def __init__(self, stretch: str, say: Callable[[Answer], None]) -> None:
        self._stretch = stretch
        self._say = say
        self._arrived: list[tuple[str, int]] = []
        self._last: int | None = None  # as how many the last one came
        self.ended = asyncio.Event()

    def take(self, booking: UUID | str, lane: str, of: int = 0) -> None:
        """The last one may say `of` how many it is, where others may still come after it."""
        now_ns = time.monotonic_ns()
        if lane not in {self._stretch, last_of(self._stretch)}:
            return
        if not self._arrived:
            self._say({"ready": True})
        self._arrived.append((str(booking), now_ns))
        if lane == last_of(self._stretch):
            self._last = of
        if self._last is not None and len(self._arrived) >= self._last:
            self.ended.set()

    def take_body(self, body: bytes) -> None:
        told = json.loads(body)
        self.take(told["booking"], told["lane"], told["of"])

    def tell(self) -> None:
        self._say({"arrived": self._arrived})


def last_of(stretch: str) -> str:
    """The lane of a stretch's last event."""
    return f"{stretch}-last"


async def hearing(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Listens until the last event has arrived, then says when each did."""
    notes = Notes(asked["stretch"], say)
    if asked["side"] == "worker":
        await _work(settings, f"{SERVICE}/{asked['stretch']}", notes)
    else:
        await _listen(settings, notes)
    notes.tell()


async def _work(settings: Settings, name: str, notes: Notes) -> None:
    def note(event: Event, _given: Given) -> None:
        assert isinstance(event, SessionStarted)
        notes.take(event.booking, event.lane)

    service = hears(name, SessionStarted, note)
    pool = await connect_pool(settings.dsn(SERVICE), "bench/pool", most=3)
    try:
        async with registered(settings, SERVICE, service.may_append) as registration:
            trust = Trust(Statements(pool).verify)
            outbox = Outbox(service, registration)
            worker = Worker(service, settings.dsn(SERVICE), pool, uuid7(), registration, trust, outbox)
            await worker.run(notes.ended)
    finally:
        await close_pool(pool)


async def _listen(settings: Settings, notes: Notes) -> None:
    """What many do: the listener looks for rows behind the last it has seen."""
    dsn = settings.dsn(SERVICE)
    rung = asyncio.Event()
    async with own_connection(dsn, "bench/listener") as listener, own_connection(dsn, "bench/reader") as reader:
        position = 0
        await listener.add_listener(CHANNEL, lambda *_: rung.set())
        while not notes.ended.is_set():
            await rung.wait()
            rung.clear()
            for row in await _behind(reader, position):
                position = row["position"]
                notes.take(row["correlation"], json.loads(row["body"])["lane"])


async def _behind(connection: Connection, position: int) -> list[Record]:
    return await connection.fetch(
        f"SELECT {MESSAGE_COLUMNS} FROM plain.log WHERE position > $1 ORDER BY position LIMIT 1000",  # noqa: S608
        position,
    )


if __name__ == "__main__":
    serve("bench-hearing", hearing)
