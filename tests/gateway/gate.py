"""The gateway on a real database and a real port, with services that say what the test tells them to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp import web

from bus.bell import Bell, Ringer
from bus.connection import Pool, close_pool, connect_pool
from bus.group_commit import GroupCommit
from bus.identity import uuid7
from bus.message import Event
from bus.outbox import Outbox
from bus.outcomes import Outcomes
from bus.producer import Registration
from bus.tail import Tail
from bus.tasks import running
from gateway.app import make_app
from gateway.auth_endpoint import AuthEndpoint
from gateway.devices import Devices
from gateway.keys import KeyRing
from gateway.ports import Ports
from gateway.pseudonyms import Pseudonyms
from gateway.rates import Rates
from gateway.revocations import Revocations
from gateway.server import Runner
from gateway.tracking.hearing import Counts
from gateway.tracking.imports import Form, ImportResult
from gateway.tracking.push import LinesResult, PushResult
from gateway.tracking.tracking import TargetStatus
from handlers.auth.issuing import device_token, user_token
from handlers.auth.signing import Signer, open_signer
from handlers.wiring import SERVICES, may_append
from tests.database import Database
from tests.handlers.services_at_work import unsigned

NOWHERE = "http://127.0.0.1:9"


@dataclass
class Targets:
    """In place of tracking: what comes is written down."""

    pushed: list[tuple[bytes, str, str]]

    async def push(self, raw: bytes, device: str, lane: str) -> PushResult:
        self.pushed.append((raw, device, lane))
        return PushResult(recorded=1, repeated=0, ignored=0)

    async def lines(self, raw: bytes, device: str, lane: str) -> LinesResult:
        self.pushed.append((raw, device, lane))
        return LinesResult(recorded=1, repeated=0, wrong=())

    async def take_file(self, raw: bytes, form: Form, lane: str, actor: str) -> ImportResult:
        self.pushed.append((raw, form, lane))
        return ImportResult(device=actor, epochs=(), recorded=1, repeated=0, kept=0, wrong=())

    def status(self) -> list[TargetStatus]:
        return [TargetStatus("lane-1", "target-1", connected=True, counts=Counts(shots=3))]


@dataclass
class Answer:
    """What the gateway said."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def problem(self) -> str:
        """Returns the kind of problem, having checked that it is told as RFC 9457 has it."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert self.body["status"] == self.status
        assert self.body["title"]
        assert self.body["request_id"] == self.headers["X-Request-ID"]
        kind: str = self.body["type"].removeprefix("/problems/")
        return kind


@dataclass
class Gate:
    """Where tests knock."""

    database: Database
    url: str
    http: aiohttp.ClientSession
    signer: Signer
    ports: Ports
    app: web.Application
    outboxes: dict[str, Outbox]
    pools: dict[str, Pool]
    pushed: list[tuple[bytes, str, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def token(self, *roles: str, person: UUID | None = None) -> str:
        now = datetime.now(UTC)
        return user_token(self.signer.key_at(now), person or uuid7(), roles or ("shooter",), now)

    def device_token(self, device: str, *lanes: str) -> str:
        now = datetime.now(UTC)
        return device_token(self.signer.key_at(now), device, lanes, now)

    async def get(self, path: str, token: str | None = None, **headers: str) -> Answer:
        return await self.ask("GET", path, token, headers=headers)

    async def post(self, path: str, body: object = None, token: str | None = None, **headers: str) -> Answer:
        return await self.ask("POST", path, token, body, headers=headers)

    async def put(self, path: str, body: object = None, token: str | None = None, **headers: str) -> Answer:
        return await self.ask("PUT", path, token, body, headers=headers)

    async def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Sends a body as it is if it is bytes, as JSON otherwise. `Idempotency_Key` names the header with dashes."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.http.request(method, self.url + path, data=raw, headers=sent) as response:
            content = await response.read()
            media_type = response.content_type
            known = json.loads(content) if media_type.endswith(("/json", "+json")) and content else content
            return Answer(response.status, dict(response.headers), known)

    async def say(self, service: str, *events: Event, correlation: UUID | None = None) -> int:
        """Lets a service tell something: its tables are changed, the log gets it, and the bell rings."""
        async with self.pools[service].acquire() as connection, connection.transaction():
            position = await self.outboxes[service].say(
                connection, events, actor=f"service:{service}", correlation=correlation or uuid7()
            )
        await self.fetch("NOTIFY firingline")
        assert position is not None
        return position

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Asks the database as its superuser."""
        connection = await self.database.connect("postgres")
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def logged(self) -> list[str]:
        """Reads the names in the log, in order."""
        return [row["name"] for row in await self.fetch("SELECT name FROM bus.outbox ORDER BY position")]


@asynccontextmanager
async def open_gate(
    database: Database,
    folder: Path,
    *,
    auth_url: str = NOWHERE,
    services: tuple[str, ...] = ("booking", "auth"),
    rate: int = 0,
) -> AsyncIterator[Gate]:
    closing = asyncio.Event()
    async with AsyncExitStack() as stack:

        async def pool(role: str, most: int = 4) -> Pool:
            made = await connect_pool(database.url(role), f"test-{role}", most=most)
            stack.push_async_callback(close_pool, made)
            return made

        signer = await open_signer(await pool("auth"), folder / "master.key")
        pools = {name: await pool(name) for name in services}
        outboxes = {name: await _outbox(name, pools[name]) for name in services}
        own = await pool("gateway", most=8)
        registration = Registration(own, uuid7(), may_append()["gateway"], unsigned)
        await registration.register()
        dsn = database.url("gateway")
        bell, ringer = Bell(dsn, "test"), Ringer(dsn, "test")
        commands, outcomes = GroupCommit(own, registration, ringer.ring), Outcomes(own, bell)
        tail, keys, auth = Tail(own, bell), KeyRing(own), AuthEndpoint(auth_url)
        revocations = Revocations(own, bell)
        stack.push_async_callback(auth.close)
        await tail.open()
        pushed: list[tuple[bytes, str, str]] = []

        ports = Ports(
            pool=own,
            bell=bell,
            commands=commands,
            outcomes=outcomes,
            tail=tail,
            keys=keys,
            revocations=revocations,
            auth=auth,
            rates=Rates(rate),
            devices=Devices(own),
            targets=Targets(pushed),
            pseudonyms=Pseudonyms(b"a key for tests"),
            registered=lambda: registration.id != 0,
        )
        at_work = (bell.run(), ringer.run(), commands.run(closing), outcomes.run(), tail.run(), keys.run())
        await stack.enter_async_context(running(revocations.run()))
        await stack.enter_async_context(running(*at_work))
        app = make_app(ports)
        runner = Runner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Gate(database, url, http, signer, ports, app, outboxes, pools, pushed)


async def _outbox(name: str, pool: Pool) -> Outbox:
    service = SERVICES[name]()
    registration = Registration(pool, uuid7(), service.may_append, unsigned)
    await registration.register()
    return Outbox(service, registration)
