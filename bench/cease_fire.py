"""How soon every lane is told that fire ceases, while its targets report shots."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from handlers.booking.commands import CeaseFire
from handlers.booking.events import LaneOpened, OpeningHours, RangeSetUp
from handlers.wiring import SERVICES
from ops.settings import Settings

RANGE: Final = "bench"
LANES: Final = tuple(f"lane-{n}" for n in range(1, 21))
LANES_EACH: Final = 5  # that one person follows
SHOTS_A_SECOND: Final = 1_000
SHOTS_AT_ONCE: Final = 25
CEASE_FIRES_A_SECOND: Final = 10
WARM_UP: Final = 5
TOLD_WITHIN_S: Final = 20.0
CHANNEL: Final = "bench_cease_fire"

Told = asyncio.Queue[float]
"""When each lane was told, by the clock of this process."""
Order = Callable[[int], Awaitable[None]]
"""Orders the n-th cease fire."""


async def cease_fire(server: Settings, size: Size, tell: Tell) -> Measured:
    """POST …/cease-fire to the last of twenty followed lanes, beside NOTIFY to twenty connections that listen."""
    tell("opening a range", 0, 1)
    programs = [
        program("gateway", "gateway"),
        *(program(name, "worker", name) for name in ("auth", "booking", "stats")),
    ]
    orders = max(3, round(size.seconds * CEASE_FIRES_A_SECOND))
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(database(server, "cease_fire"))
        await _open_range(log)
        at = await stack.enter_async_context(at_work(log, programs, lambda gateway: bool(gateway["registered"])))
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{at.port}"))
        officer, told, heard = await _user(log, "instructor"), Told(), Told()
        await stack.enter_async_context(_followed(http, log, told))
        plain = await stack.enter_async_context(_listened(log, heard))
        await stack.enter_async_context(running(*await _targets(http, log)))
        for order, arrived in ((partial(_order, http, officer), told), (partial(_notify, plain), heard)):
            await _milliseconds(order, arrived, min(orders, WARM_UP))
        ours, baseline = await in_turns(
            size.rounds,
            lambda _: _milliseconds(partial(_order, http, officer), told, orders),
            lambda _: _milliseconds(partial(_notify, plain), heard, orders),
            tell,
        )
    return Measured(
        [percentile(one, 99) for one in ours],
        [percentile(one, 99) for one in baseline],
        {
            "orders": orders,
            "lanes": len(LANES),
            "shots_per_second": SHOTS_A_SECOND,
            "p50": round(percentile([one for each in ours for one in each], 50), 3),
            "baseline_p50": round(percentile([one for each in baseline for one in each], 50), 3),
        },
    )


async def _milliseconds(order: Order, told: Told, orders: int) -> list[float]:
    """From each order's sending until the last lane was told; the next is given a tenth of a second later."""
    taken = []
    for number in range(orders):
        began_s = time.perf_counter()
        await order(number)
        async with asyncio.timeout(TOLD_WITHIN_S):
            taken.append(max([await told.get() for _ in LANES]) - began_s)
        await asyncio.sleep(1 / CEASE_FIRES_A_SECOND)
    return [seconds * 1000 for seconds in taken]


async def _order(http: aiohttp.ClientSession, officer: str, _number: int) -> None:
    await _post(http, f"/v1/ranges/{RANGE}/cease-fire", {"reason": "alarm"}, officer)


async def _notify(plain: Connection, number: int) -> None:
    async with plain.transaction():
        await plain.execute("INSERT INTO plain.alarm (number, at) VALUES ($1, clock_timestamp())", number)
        await plain.execute(f"NOTIFY {CHANNEL}")


async def _open_range(log: Settings) -> None:
    every_day = tuple(OpeningHours(weekday=day, opens_minute=0, closes_minute=1440) for day in range(1, 8))
    set_up = RangeSetUp(
        range=RANGE, title="Bench", time_zone="UTC", opening_hours=every_day, slot_minutes=30, hold_seconds=30,
        early_check_in_minutes=60, no_show_minutes=15,
    )  # fmt: skip
    opened = [
        LaneOpened(
            range=RANGE,
            lane=lane,
            distance_m=10,
            discipline="air-pistol-10m",
            weapon_classes=("air",),
            target_address=None,
        )
        for lane in LANES
    ]
    service = SERVICES["booking"]()
    async with (
        registered(log, "booking", service.may_append) as producer,
        connected(log.dsn("booking")) as connection,
        connection.transaction(),
    ):
        outbox = Outbox(service, producer)
        await outbox.say(connection, [set_up, *opened], actor="service:booking", correlation=uuid7())
    async with connected(log.admin_url) as admin:
        await admin.executemany(
            "INSERT INTO auth.device (device, lane, revoked) VALUES ($1, $2, false)",
            [(f"target-{lane}", lane) for lane in LANES],
        )
        await admin.execute(
            """
            CREATE SCHEMA plain;
            CREATE TABLE plain.alarm (number integer, at timestamptz);
            GRANT USAGE ON SCHEMA plain TO firingline_gateway;
            GRANT INSERT ON plain.alarm TO firingline_gateway;
            """
        )


@asynccontextmanager
async def _followed(http: aiohttp.ClientSession, log: Settings, told: Told) -> AsyncIterator[None]:
    """Follows every lane, a few with each person's token."""
    async with AsyncExitStack() as stack:
        readers = []
        for first in range(0, len(LANES), LANES_EACH):
            token = await _user(log, "shooter")
            for lane in LANES[first : first + LANES_EACH]:
                headers = {"Authorization": f"Bearer {token}"}
                stream = await stack.enter_async_context(http.get(f"/v1/lanes/{lane}/live", headers=headers))
                if not stream.ok:
                    raise Refusal(f"A lane cannot be followed: {stream.status} {await stream.text()}.")
                await stream.content.readuntil(b"\n\n")
                readers.append(_read(stream, told))
        async with running(*readers):
            yield


async def _read(stream: aiohttp.ClientResponse, told: Told) -> None:
    wanted = f"event: {CeaseFire.name}\n".encode()
    while True:
        if wanted in await stream.content.readuntil(b"\n\n"):
            told.put_nowait(time.perf_counter())


@asynccontextmanager
async def _listened(log: Settings, heard: Told) -> AsyncIterator[Connection]:
    async with AsyncExitStack() as stack:
        for _ in LANES:
            listener = await stack.enter_async_context(connected(log.dsn("gateway")))
            await listener.add_listener(CHANNEL, lambda *_: heard.put_nowait(time.perf_counter()))
        yield await stack.enter_async_context(connected(log.dsn("gateway")))


async def _targets(http: aiohttp.ClientSession, log: Settings) -> Sequence[Coroutine[Any, Any, None]]:
    return [_shoot(http, f"target-{lane}", await _device(log, lane)) for lane in LANES]


async def _shoot(http: aiohttp.ClientSession, device: str, token: str) -> None:
    every_s = SHOTS_AT_ONCE * len(LANES) / SHOTS_A_SECOND
    numbers = count(1)
    while True:
        shots: list[dict[str, Any]] = [{"epoch": "bench", "number": next(numbers)} for _ in range(SHOTS_AT_ONCE)]
        await _post(http, f"/v1/devices/{device}/shots", {"shots": shots}, token)
        await asyncio.sleep(every_s)


async def _post(http: aiohttp.ClientSession, path: str, body: dict[str, Any], token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with http.post(path, data=json.dumps(body), headers=headers) as response:
        if not response.ok:
            raise Refusal(f"{path} answered {response.status}: {await response.text()}.")


async def _user(log: Settings, role: str, person: UUID | None = None) -> str:
    async with signing(log) as (signer, at):
        return user_token(signer.key_at(at), person or uuid7(), [role], at)


async def _device(log: Settings, lane: str) -> str:
    async with signing(log) as (signer, at):
        return device_token(signer.key_at(at), f"target-{lane}", [lane], at)
