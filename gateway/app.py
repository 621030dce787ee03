"""The application: the table of routes, each with its access, inside the frame. This is where it is put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from gateway import openapi
from gateway.access import NOBODY, Caller, admit
from gateway.board import LATEST_BOARD, LatestBoard
from gateway.body import LARGEST_BYTES
from gateway.events import EVENT_STREAMS, analysts_streams
from gateway.frame import Handler, dress, frame
from gateway.live import STREAMS, Streams
from gateway.ownership import must_own
from gateway.pages import pages
from gateway.ports import ENDING, PORTS, Ports
from gateway.problems import TOO_LONG, UNAUTHENTICATED, Problem, again_after
from gateway.rates import REFUSED_TOKEN_COST
from gateway.routes import ROUTES
from gateway.routing import Route, Visit, path_of
from gateway.slots import LATEST_SETTING, LatestSetting

RETRY_AFTER_S: Final = 1


class AccessMissing(Exception):  # noqa: N818 - a refusal to start
    """A route says nothing of who may use it."""


def all_routes() -> Sequence[Route]:
    return (*ROUTES, *pages())


def make_app(ports: Ports, routes: Sequence[Route] | None = None) -> web.Application:
    """The gateway over these ports. It does not start with a route for which nobody said who may use it."""
    routes = all_routes() if routes is None else routes
    app = web.Application(middlewares=[frame], client_max_size=LARGEST_BYTES + 1)
    app[PORTS] = ports
    app[ENDING] = asyncio.Event()
    app[STREAMS] = Streams()
    app[EVENT_STREAMS] = analysts_streams()
    app[LATEST_BOARD] = LatestBoard()
    app[LATEST_SETTING] = LatestSetting()
    document = openapi.Document(routes)
    for route in routes:
        handler = document.describes(route, _handler(route, ports))
        app.router.add_route(route.method, route.path, handler)
    app[openapi.DOCUMENT] = document.of(app)
    app.on_response_prepare.append(dress)
    app.on_startup.append(_guard(routes))
    app.on_shutdown.append(_end)
    return app


def _handler(route: Route, ports: Ports) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert route.access is not None
        deadline = asyncio.timeout(route.does.deadline_s)
        try:
            async with deadline:
                caller = await _admit(route, ports, request)
                visit = Visit(request, route, caller, path_of(route, request), ports)
                await must_own(visit)
                return await route.does(visit)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise again_after(TOO_LONG, RETRY_AFTER_S) from None

    return handle


async def _admit(route: Route, ports: Ports, request: web.Request) -> Caller:
    """Who asks, if there is enough left for it: of the person's or device's, and of the address where there is none."""
    assert route.access is not None
    address = f"address:{request.remote}"
    try:
        caller = await admit(route.access, ports.keys, ports.revocations, request)
    except Problem as problem:
        if problem.kind is UNAUTHENTICATED:
            ports.rates.charge(address, REFUSED_TOKEN_COST)
        raise
    ports.rates.charge(address if caller is NOBODY else caller.actor, route.cost)
    return caller


def _guard(routes: Sequence[Route]) -> Callable[[web.Application], Awaitable[None]]:
    """Keeps the application from starting when anybody could use a route because nobody thought of it."""
    guarded = {(route.method, route.path) for route in routes if route.access is not None}

    async def must_all_be_guarded(app: web.Application) -> None:
        for served in app.router.routes():
            path = "?" if served.resource is None else served.resource.canonical
            if (served.method, path) not in guarded:
                raise AccessMissing(f"nobody said who may use {served.method} {path}")

    return must_all_be_guarded


async def _end(app: web.Application) -> None:
    app[ENDING].set()
