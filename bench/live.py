"""How soon a lane's followers are told what shots came to, with fifty lanes shooting at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Final
from uuid import UUID

import aiohttp

from bench.figures import Measured, Size, Tell, in_turns, percentile
from bench.ground import connected, database, registered, signing
from bench.range_at_work import at_work, program
from bus.connection import Connection
from bus.errors import Refusal
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.tasks import running
from handlers.auth.issuing import device_token, user_token
from handlers.booking.events import (
    BookingConfirmed,
    LaneHeld,
    LaneOpened,
    OpeningHours,
    RangeSetUp,
    SessionStarted,
    ShooterCheckedIn,
    Terms,
)
from handlers.stats.events import InterimScored
from handlers.wiring import SERVICES
from ops.settings import Settings

RANGE: Final = "bench"
DISCIPLINE: Final = "air-pistol-10m"
LANES: Final = tuple(f"lane-{n}" for n in range(1, 51))
LANES_EACH: Final = 5  # that one person follows
SHOTS_A_SECOND: Final = 500
SHOTS_AT_ONCE: Final = 10  # so many are told of at once, however recently the lane was told of
WARM_UP_S: Final = 1.0
TOLD_WITHIN_S: Final = 20.0
CHANNEL: Final = "bench_live"

Batch = tuple[str, int]
"""A lane, and the number of the last shot that was sent for it."""


class Followed:
    """When each batch was sent, and how long it took until it was told."""

    def __init__(self) -> None:
        self._sent: dict[Batch, float] = {}
        self.milliseconds: list[float] = []

    @property
    def open(self) -> int:
        return len(self._sent)

    def send(self, batch: Batch) -> None:
        self._sent[batch] = time.perf_counter()

    def told(self, batch: Batch) -> None:
        sent = self._sent.pop(batch, None)
        if sent is not None:
            self.milliseconds.append((time.perf_counter() - sent) * 1000)


Send = Callable[[str, int], Awaitable[None]]
"""Sends a batch of a lane, whose last shot has this number."""


async def live(server: Settings, size: Size, tell: Tell) -> Measured:
    """From posting ten shots until the lane's follower has their score, beside INSERT and NOTIFY."""
    tell("opening a range", 0, 1)
    programs = [program("gateway", "gateway"), *(program(name, "worker", name) for name in ("auth", "stats"))]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(database(server, "live"))
        await _open_range(log)
        at = await stack.enter_async_context(at_work(log, programs, lambda gateway: bool(gateway["registered"])))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(f"http://127.0.0.1:{at.port}", connector=aiohttp.TCPConnector(limit=0))
        )
        followed, heard = Followed(), Followed()
        await stack.enter_async_context(_following(http, log, followed))
        plain = await stack.enter_async_context(_listening(log, heard))
        tokens = {lane: await _device(log, lane) for lane in LANES}
        numbers = {"ours": count(1), "baseline": count(1)}
        ours_s = partial(_stretch, partial(_post, http, tokens), followed, numbers["ours"])
        plain_s = partial(_stretch, partial(_insert, plain, asyncio.Lock()), heard, numbers["baseline"])
        for side in (ours_s, plain_s):
            await side(min(WARM_UP_S, size.seconds))
        ours, baseline = await in_turns(
            size.rounds, lambda _: ours_s(size.seconds), lambda _: plain_s(size.seconds), tell
        )
    return Measured(
        [percentile(one, 50) for one in ours],
        [percentile(one, 50) for one in baseline],
        {
            "lanes": len(LANES),
            "shots_per_second": SHOTS_A_SECOND,
            "p99": round(percentile([one for each in ours for one in each], 99), 3),
            "baseline_p99": round(percentile([one for each in baseline for one in each], 99), 3),
        },
    )


async def _stretch(send: Send, followed: Followed, batches: count[int], seconds: float) -> list[float]:
    """Sends batches lane after lane at an even pace, whatever becomes of them; what each took to be told."""
    followed.milliseconds.clear()
    every_s = SHOTS_AT_ONCE / SHOTS_A_SECOND
    rounds = max(1, round(seconds / (every_s * len(LANES))))
    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as sending:
        for number, lane in enumerate(LANES * rounds):
            await asyncio.sleep(max(0.0, began_s + number * every_s - time.perf_counter()))
            last = next(batches) * SHOTS_AT_ONCE
            followed.send((lane, last))
            sending.create_task(_awaited(send, lane, last))
    async with asyncio.timeout(TOLD_WITHIN_S):
        while followed.open:  # noqa: ASYNC110 - what comes in comes in by itself
            await asyncio.sleep(0.01)
    return list(followed.milliseconds)


async def _awaited(send: Send, lane: str, last: int) -> None:
    await send(lane, last)


async def _post(http: aiohttp.ClientSession, tokens: dict[str, str], lane: str, last: int) -> None:
    shots = [
        {"epoch": "bench", "number": number, "x_um": number * 7919 % 30_000, "y_um": number * 6101 % 30_000}
        for number in range(last - SHOTS_AT_ONCE + 1, last + 1)
    ]
    headers = {"Authorization": f"Bearer {tokens[lane]}", "Content-Type": "application/json"}
    path = f"/v1/devices/target-{lane}/shots"
    async with http.post(path, data=json.dumps({"shots": shots}), headers=headers) as response:
        if not response.ok:
            raise Refusal(f"{path} answered {response.status}: {await response.text()}.")


async def _insert(plain: Connection, alone: asyncio.Lock, lane: str, last: int) -> None:
    async with alone, plain.transaction():
        await plain.executemany(
            "INSERT INTO plain.shot (lane, number) VALUES ($1, $2)",
            [(lane, number) for number in range(last - SHOTS_AT_ONCE + 1, last + 1)],
        )
        await plain.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{lane} {last}")


@asynccontextmanager
async def _listening(log: Settings, heard: Followed) -> AsyncIterator[Connection]:
    def told(*message: Any) -> None:
        lane, last = message[3].split()
        heard.told((lane, int(last)))

    async with connected(log.dsn("gateway")) as listener, connected(log.dsn("gateway")) as writer:
        await listener.add_listener(CHANNEL, told)
        yield writer


@asynccontextmanager
async def _following(http: aiohttp.ClientSession, log: Settings, followed: Followed) -> AsyncIterator[None]:
    """Follows every lane, a few with each instructor's token."""
    async with AsyncExitStack() as stack:
        readers = []
        for first in range(0, len(LANES), LANES_EACH):
            async with signing(log) as (signer, at):
                token = user_token(signer.key_at(at), uuid7(), ["instructor"], at)
            for lane in LANES[first : first + LANES_EACH]:
                headers = {"Authorization": f"Bearer {token}"}
                stream = await stack.enter_async_context(http.get(f"/v1/lanes/{lane}/live", headers=headers))
                if not stream.ok:
                    raise Refusal(f"A lane cannot be followed: {stream.status} {await stream.text()}.")
                await stream.content.readuntil(b"\n\n")
                readers.append(_read(stream, lane, followed))
        async with running(*readers):
            yield


async def _read(stream: aiohttp.ClientResponse, lane: str, followed: Followed) -> None:
    wanted = f"event: {InterimScored.name}\ndata: ".encode()
    while True:
        before, found, body = (await stream.content.readuntil(b"\n\n")).partition(wanted)
        del before
        if found:
            followed.told((lane, json.loads(body)["last_number"]))


async def _device(log: Settings, lane: str) -> str:
    async with signing(log) as (signer, at):
        return device_token(signer.key_at(at), f"target-{lane}", [lane], at)


async def _open_range(log: Settings) -> None:
    """Fifty lanes, on each of which somebody has begun."""
    every_day = tuple(OpeningHours(weekday=day, opens_minute=0, closes_minute=1440) for day in range(1, 8))
    events: list[Any] = [
        RangeSetUp(
            range=RANGE, title="Bench", time_zone="UTC", opening_hours=every_day, slot_minutes=30, hold_seconds=30,
            early_check_in_minutes=60, no_show_minutes=15,
        )
    ]  # fmt: skip
    async with connected(log.admin_url) as admin:
        now: datetime = (await admin.fetchval("SELECT clock_timestamp()")).astimezone(UTC)
    for number, lane in enumerate(LANES, start=1):
        events += _begun(lane, UUID(int=number), now)
    service = SERVICES["booking"]()
    async with (
        registered(log, "booking", service.may_append) as producer,
        connected(log.dsn("booking")) as connection,
        connection.transaction(),
    ):
        await Outbox(service, producer).say(connection, events, actor="service:booking", correlation=uuid7())
    async with connected(log.admin_url) as admin:
        await admin.executemany(
            "INSERT INTO auth.device (device, lane, revoked) VALUES ($1, $2, false)",
            [(f"target-{lane}", lane) for lane in LANES],
        )
        await admin.execute(
            """
            CREATE SCHEMA plain;
            CREATE TABLE plain.shot (lane text, number bigint, PRIMARY KEY (lane, number));
            GRANT USAGE ON SCHEMA plain TO firingline_gateway;
            GRANT INSERT ON plain.shot TO firingline_gateway;
            """
        )


def _begun(lane: str, booking: UUID, now: datetime) -> list[Any]:
    terms = Terms(
        booking=booking, command=booking, person=uuid7(), range=RANGE, lane=lane, discipline=DISCIPLINE,
        starts_at=now - timedelta(minutes=1), ends_at=now + timedelta(hours=4), weapon_class="air", weapon_type=None,
        rounds=0,
    )  # fmt: skip
    return [
        LaneOpened(
            range=RANGE, lane=lane, distance_m=10, discipline=DISCIPLINE, weapon_classes=("air",), target_address=None
        ),
        LaneHeld(booking=booking, terms=terms, held_until=now, no_show_at=now + timedelta(hours=1)),
        BookingConfirmed(
            booking=booking, command=booking, terms=terms, invoice=booking, total_minor=0, currency="EUR"
        ),
        ShooterCheckedIn(
            booking=booking, person=terms.person, terms=terms, checked_in_at=now - timedelta(seconds=10)
        ),
        SessionStarted(
            booking=booking, person=terms.person, lane=lane, discipline=DISCIPLINE,
            started_at=now - timedelta(seconds=5),
        ),
    ]  # fmt: skip
