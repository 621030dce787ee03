"""The generator of `http` and `slots`: many connections, each with one request under way at any time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import cycle, product

from bench.child import Answer, serve
from bench.talk import Talk, get, post
from bus.identity import uuid7
from ops.settings import Settings

ACCEPTED = 202


class Load:
    """Counts the answers of all connections within the stretch that is measured."""

    def __init__(self, asked: Answer) -> None:
        self._asked = asked
        self._awaited = asked.get("awaited", ACCEPTED)
        self._reads = cycle(product(asked.get("paths", ()), asked.get("tokens", ())))
        self.counting = False
        self.answers = 0
        self.length = 0
        self.wrong = asyncio.get_running_loop().create_future()

    async def connect(self, port: int) -> Talk:
        loop = asyncio.get_running_loop()
        _, talk = await loop.create_connection(
            lambda: Talk(lambda *told: self._next(talk, *told), self._lost), "127.0.0.1", port
        )
        talk.send(self._request())
        return talk

    def _request(self) -> bytes:
        """A command like no other, as its key is new; or what comes next to be read."""
        asked = self._asked
        if "paths" in asked:
            path, token = next(self._reads)
            return get(path, Authorization=f"Bearer {token}")
        key = str(uuid7())
        return post(
            asked["path"], asked["body"].encode(), Authorization=f"Bearer {asked['token']}", Idempotency_Key=key
        )

    def _next(self, talk: Talk, status: int, body: bytes) -> None:
        if status != self._awaited:
            self._stop(f"{status} {body[:300].decode(errors='replace')}")
            return
        self.answers += self.counting
        self.length = len(body)
        talk.send(self._request())

    def _lost(self) -> None:
        self._stop("the connection was closed")

    def _stop(self, why: str) -> None:
        if not self.wrong.done():
            self.wrong.set_result(why)


async def loading(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Warms up, counts for the time, and says how many were accepted; or what went wrong instead."""
    del settings
    load = Load(asked)
    talks = [await load.connect(asked["port"]) for _ in range(asked["connections"])]
    try:
        await asyncio.wait({load.wrong}, timeout=asked["warm_up_s"])
        load.counting, began_s = True, time.perf_counter()
        while not load.answers and not load.wrong.done():  # a stretch that was too short for one goes on
            await asyncio.wait({load.wrong}, timeout=asked["seconds"])
        load.counting, took_s = False, time.perf_counter() - began_s
        say(
            {"wrong": load.wrong.result()}
            if load.wrong.done()
            else {"answers": load.answers, "seconds": took_s, "length": load.length}
        )
    finally:
        for talk in talks:
            talk.close()


if __name__ == "__main__":
    serve("bench-loading", loading)
