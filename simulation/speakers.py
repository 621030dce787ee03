"""Machines of other makers, made of a file of shots: each tells them its own way, to whoever it is meant for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import aiomqtt
from aiohttp import web

from bus.clock import now
from bus.errors import Refusal
from simulation import makers
from simulation.frames import frame_of
from simulation.makers import Faults, Fired
from simulation.shot_files import Shot

AT_LEAST_ONCE: Final = 1
LINGER_S: Final = 1.0  # for the last shot to be read
NONE: Final = Faults()
WAYS: Final = ("disag", "sius", "mqtt", "biathlon", "megalink", "megalink-1", "sse")

Tell = Callable[[Fired], None]


async def speak(
    way: str, to: str, shots: Sequence[Shot], interval_s: float, *, faults: Faults = NONE, dice: Random, told: Tell
) -> None:
    """Tell all shots by one of WAYS.

    `to`: HOST:PORT to send to (disag, mqtt, biathlon) or to listen on (megalink, sse), or a folder (sius).
    """
    speaker = {"sius": _sius, "disag": _disag, "mqtt": _mqtt, "biathlon": _mqtt}.get(way, _events)
    async with speaker(way, to) as send:
        since = now()
        for number, shot in enumerate(shots, 1):
            at = makers.wall_clock(faults.drifted(now(), since))
            fired = Fired(shot, at, number)
            for frame in faults.applied(_frames(way, fired), dice):
                await send(frame)
            told(fired)
            await asyncio.sleep(interval_s)


def _frames(way: str, fired: Fired) -> list[bytes]:
    match way:
        case "disag":
            return [makers.disag_datagram(fired)]
        case "sius":
            return [makers.sius_row(fired)]
        case "mqtt":
            return [makers.own_post(fired, f"sim-{fired.at:%Y%m%d}")]
        case "biathlon":
            return [makers.biathlon_result([int(fired.at.replace(tzinfo=UTC).timestamp() * 1000)])]
        case "sse":
            return [frame_of("6.3", fired.shot, fired.number, fired.number * 1.0)]
        case _:
            return [json.dumps([str(fired.shot.x_mm), str(fired.shot.y_mm), fired.shot.kind, fired.number]).encode()]


Send = Callable[[bytes], Any]


@asynccontextmanager
async def _disag(_way: str, to: str) -> AsyncIterator[Send]:
    host, port = _host_and_port(to)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)

        async def send(frame: bytes) -> None:
            await asyncio.get_running_loop().sock_sendto(sender, frame, (host, port))

        yield send


@asynccontextmanager
async def _sius(_way: str, to: str) -> AsyncIterator[Send]:
    path = Path(to) / f"{now():%Y%m%d}.csv"

    async def send(frame: bytes) -> None:
        await asyncio.to_thread(_append, path, frame)

    yield send


def _append(path: Path, row: bytes) -> None:
    with path.open("ab") as file:
        file.write(row)


@asynccontextmanager
async def _mqtt(way: str, to: str) -> AsyncIterator[Send]:
    address, _, topic = to.partition("/")
    host, port = _host_and_port(address)
    topic = "biathlon/server/result" if way == "biathlon" else topic
    if not topic:
        raise Refusal(f"{to} names no topic: it is HOST:PORT/TOPIC.")
    async with aiomqtt.Client(host, port) as client:

        async def send(frame: bytes) -> None:
            await client.publish(topic, frame, qos=AT_LEAST_ONCE)

        yield send


@asynccontextmanager
async def _events(way: str, to: str) -> AsyncIterator[Send]:
    """A server of events: a freETarget's, which closes after each, or Megalink's, which tells a tree."""
    host, port = _host_and_port(to)
    frames: list[bytes] = []
    came = asyncio.Condition()

    async def send(frame: bytes) -> None:
        async with came:
            frames.append(frame)
            came.notify_all()

    async def target(request: web.Request) -> web.StreamResponse:
        response = await _opened(request)
        before = len(frames)
        await response.write(b'event: new_shotData\nid: \ndata: {"shot":0, "x":0, "y":0}\n\n')
        async with came:
            await came.wait_for(lambda: len(frames) > before)
        for frame in frames[before:]:
            await response.write(b"event: new_shotData\nid: \ndata: " + frame + b"\n\n")
        return response

    async def megalink(request: web.Request) -> web.StreamResponse:
        response = await _opened(request)
        heard = [-1]
        while True:
            async with came:
                await came.wait_for(lambda: len(frames) > heard[0])
                heard[0] = len(frames)
            tree = {"path": "/", "data": makers.megalink_tree(_heard(frames), version=1 if way.endswith("1") else 2)}
            await response.write(b"event: put\ndata: " + json.dumps(tree).encode() + b"\n\n")

    app = web.Application()
    app.router.add_get("/events" if way == "sse" else "/range.json", target if way == "sse" else megalink)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield send
        await asyncio.sleep(LINGER_S)
    finally:
        await runner.cleanup()


def _heard(frames: Sequence[bytes]) -> list[Fired]:
    """The shots in what was sent; what is broken never reaches a tree."""
    found: dict[int, Fired] = {}
    for frame in frames:
        try:
            x_mm, y_mm, kind, number = json.loads(frame)
        except ValueError:
            continue
        shot = Shot(Decimal(x_mm), Decimal(y_mm), kind)
        found[number] = Fired(shot, now(), number)
    return [found[number] for number in sorted(found)]


async def _opened(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def _host_and_port(to: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{to}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise Refusal(f"{to} is no HOST:PORT.")
    return host, port
