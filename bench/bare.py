"""The baseline of `http` and `slots`: aiohttp alone, which parses the body, if there is one, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from bench.child import Answer, serve
from gateway.asking import Asks
from gateway.body import Body
from gateway.routes import ROUTES
from ops.settings import Settings


async def bare(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Serves one route until the asker ends, which is when this process does."""
    del settings
    answer = asked["answer"].encode()
    app = web.Application()
    if asked.get("method") == "GET":

        async def show(_: web.Request) -> web.Response:
            return web.Response(body=answer, content_type="application/json")

        app.router.add_get(asked["path"], show)
    else:
        app.router.add_post(asked["path"], _accepting(asked["path"], answer))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", asked["port"]).start()
    say({"serves": True})
    await asyncio.Event().wait()


def _accepting(path: str, answer: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    body_of = body(path)

    async def handle(request: web.Request) -> web.Response:
        body_of.model_validate_json(await request.read())
        return web.Response(status=202, body=answer, content_type="application/json")

    return handle


def body(path: str) -> type[Body]:
    """What the gateway's route takes for a body."""
    [does] = [route.does for route in ROUTES if (route.method, route.path) == ("POST", path)]
    assert isinstance(does, Asks)
    return does.body


if __name__ == "__main__":
    serve("bench-bare", bare)
