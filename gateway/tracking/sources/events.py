"""Server-sent events: a freeTarget's own, and the tree of Megalink Live that a range keeps up to date."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from gateway.tracking.address import Source
from gateway.tracking.frames import Scanner
from gateway.tracking.hearing import Hearing
from gateway.tracking.makers import megalink
from gateway.tracking.sources.reconnecting import over_and_over
from gateway.tracking.ways import MEGALINK

CONNECT_WITHIN_S: Final = 5.0
SILENCE_S: Final = 150.0
LARGEST_EVENT: Final = 8 * 1024 * 1024
MOST_DEEP: Final = 12
AWAY: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class TargetEvents:
    """A freeTarget's `/events`: it closes after each event, so it is asked again at once."""

    def __init__(self, source: Source, hearing: Hearing) -> None:
        self._source = source
        self.hearing = hearing
        self.connected = False

    async def run(self) -> None:
        await over_and_over(f"events of {self._source.host}:{self._source.port}", self._read, AWAY)

    async def _read(self) -> bool:
        address = f"http://{self._source.host}:{self._source.port}/events"
        heard = False
        async with aiohttp.ClientSession(timeout=_timeout()) as session:
            while True:
                async with session.get(address, headers={"Accept": "text/event-stream"}) as response:
                    response.raise_for_status()
                    self.connected = True
                    self.hearing.connected()
                    scanner, said = Scanner(), False
                    try:
                        async for chunk in response.content.iter_any():
                            said = True
                            for frame in scanner.feed(chunk):
                                await self.hearing.heard_frame(frame)
                    finally:
                        self.connected = False
                heard = heard or said
                if not said:
                    return heard


class MegalinkLive:
    """A range's tree: `put` replaces a branch, `patch` adds to it; a firing point that changed is taken whole."""

    def __init__(self, source: Source, hearing: Hearing) -> None:
        self._source = source
        self.hearing = hearing
        self.connected = False
        self._told: dict[str, bytes] = {}

    async def run(self) -> None:
        await over_and_over(f"megalink at {self._source.host}{self._source.path}", self._read, AWAY)

    async def _read(self) -> bool:
        scheme = self._source.scheme.removeprefix("megalink+")
        address = f"{scheme}://{self._source.host}:{self._source.port}{self._source.path}"
        tree: Any = None
        heard = False
        async with (
            aiohttp.ClientSession(timeout=_timeout()) as session,
            session.get(address, headers={"Accept": "text/event-stream"}) as response,
        ):
            response.raise_for_status()
            self.connected = True
            self.hearing.connected()
            try:
                async for event, data in _events(response.content):
                    if event not in ("put", "patch"):
                        continue
                    tree = merged(tree, event, data)
                    for point, node in megalink.points(tree):
                        raw = json.dumps(node, separators=(",", ":")).encode()
                        if self._told.get(point) != raw:
                            await self.hearing.heard(MEGALINK, raw, point, live=heard)
                            self._told[point] = raw
                    heard = True
            finally:
                self.connected = False
        return heard


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """Each event's name and data. One larger than any is passed over."""
    kept = bytearray()
    async for chunk in content.iter_any():
        kept += chunk.replace(b"\r\n", b"\n")
        while (end := kept.find(b"\n\n")) >= 0:
            lines = bytes(kept[:end]).split(b"\n")
            del kept[: end + 2]
            named = [line[6:].strip() for line in lines if line.startswith(b"event:")]
            data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
            if named and data:
                yield named[-1].decode("utf-8", "replace"), data
        if len(kept) > LARGEST_EVENT:
            kept.clear()


def merged(tree: Any, event: str, data: bytes) -> Any:
    """The tree after an event; as it was, if that says nothing that can be understood."""
    try:
        told = json.loads(data)
        path, value = told["path"], told["data"]
        keys = [key for key in path.split("/") if key]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return tree
    if len(keys) > MOST_DEEP:
        return tree
    if not keys:
        return {**tree, **value} if event == "patch" and isinstance(tree, dict) and isinstance(value, dict) else value
    return _set(tree, keys, value, merge=event == "patch")


def _set(node: Any, keys: list[str], value: Any, *, merge: bool) -> dict[str, Any]:
    branch = dict(enumerate(node)) if isinstance(node, list) else node if isinstance(node, dict) else {}
    found = {str(key): one for key, one in branch.items() if one is not None}
    if len(keys) > 1:
        found[keys[0]] = _set(found.get(keys[0]), keys[1:], value, merge=merge)
    elif merge and isinstance(value, dict):
        for key, one in value.items():
            found[keys[0]] = _set(found.get(keys[0]), [key], one, merge=False)
    else:
        found[keys[0]] = value
    return found


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S, sock_read=SILENCE_S)
