"""A client as a good app is: it asks again under the same key while the range is away, and follows what it asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp

from ops.api import Api, ApiProblem

DEADLINE_S = 60.0
PAUSE_S = 0.1
AWAY = (502, 503, 504)
Json = dict[str, Any]


class App(Api):
    """An Api that does not give up at once."""

    async def ask(self, method: str, path: str, **how: Any) -> Json:
        if method in ("POST", "PUT") and how.get("key") is None:
            how["key"] = str(uuid4())
        return await patiently(lambda: super(App, self).ask(method, path, **how))

    async def command(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, wait_s: int = 2
    ) -> Json:
        answer = await self.ask(method, path, body=body or {}, key=key, wait_s=wait_s)
        async with asyncio.timeout(DEADLINE_S):
            while answer["status"] == "pending":
                answer = await self.get(f"/v1/commands/{answer['command']}")
                await asyncio.sleep(PAUSE_S if answer["status"] == "pending" else 0)
        if answer["status"] != "done":
            problem = {**answer, **(answer.get("rejection") or {})}
            raise ApiProblem(409 if answer["status"] == "rejected" else 500, problem)
        return answer

    async def until(self, path: str, condition: Callable[[Json], Any], **query: str | int) -> Json:
        """Reads until what is read is as it should be."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answer = await self.get(path, **query)
                if condition(answer):
                    return answer
                await asyncio.sleep(PAUSE_S)


async def patiently(ask: Callable[[], Awaitable[Json]]) -> Json:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return await ask()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(PAUSE_S)
            except ApiProblem as problem:
                if problem.status not in AWAY:
                    raise
                await asyncio.sleep(PAUSE_S)
