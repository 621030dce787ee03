"""The baseline of `firingline bench http`: aiohttp alone, which parses the body and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from bench.child import Answer, serve
from gateway.asking import Asks
from gateway.body import Body
from gateway.routes import ROUTES
from ops.settings import Settings


async def bare(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Serves one route until the asker ends, which is when this process does."""
    del settings
    body_of = body(asked["path"])
    answer = asked["answer"].encode()

    async def handle(request: web.Request) -> web.Response:
        body_of.model_validate_json(await request.read())
        return web.Response(status=202, body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post(asked["path"], handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", asked["port"]).start()
    say({"serves": True})
    await asyncio.Event().wait()


def body(path: str) -> type[Body]:
    """What the gateway's route takes for a body."""
    [does] = [route.does for route in ROUTES if (route.method, route.path) == ("POST", path)]
    assert isinstance(does, Asks)
    return does.body


if __name__ == "__main__":
    serve("bench-bare", bare)
