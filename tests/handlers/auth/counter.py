"""Auth at work on a real database: its endpoint over HTTP, its decisions, and the log that both append to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from bus.connection import Pool, close_pool, connect_pool
from bus.handling import Handling
from bus.identity import uuid7
from bus.message import Envelope, Message, Received
from bus.outbox import Outbox
from bus.producer import Registration
from bus.tokens import UserClaims
from handlers.auth.endpoint.server import serve
from handlers.auth.erasure_list import ErasureList
from handlers.auth.issuing import issue_service_token
from handlers.auth.passwords import Hasher
from handlers.auth.service import service
from handlers.auth.signing import Signer, open_signer
from tests.database import Database

BOOTSTRAP_SECRET = "the secret that set-up made"
PASSWORD = "correct horse battery staple"
HERE = "192.0.2.1"
JUNE = {"valid_from": "2026-06-01T00:00:00Z", "valid_until": "2026-07-01T00:00:00Z"}
LICENCE = {"category": "smallbore", "number": "WB 4711", "authority": "City of Suhl", **JUNE}

Answer = tuple[int, Any]


def quick_hasher(**options: int) -> Hasher:
    """Hashes as weakly as argon2 lets one: what a hash costs is measured elsewhere."""
    return Hasher(time_cost=1, memory_kib=8, **options)


@dataclass
class Counter:
    """Where tests stand in line."""

    database: Database
    pool: Pool
    signer: Signer
    outbox: Outbox
    url: str
    http: aiohttp.ClientSession

    async def post(self, path: str, body: object = None, token: str | None = None, **options: Any) -> Answer:
        return await self.ask("POST", path, token, json=body, **options)

    async def get(self, path: str, token: str | None = None) -> Answer:
        return await self.ask("GET", path, token)

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> Answer:
        if token is not None:
            options["headers"] = {**options.get("headers", {}), "Authorization": f"Bearer {token}"}
        async with self.http.request(method, self.url + path, **options) as response:
            content = await response.json(content_type=None) if response.content_length else None
            assert response.status < 400 or response.content_type == "application/problem+json"
            return response.status, content

    async def register(self, login: str = "anna@example.org", *, display_name: str = "Anna Schmidt") -> UUID:
        body = {"login": login, "password": PASSWORD, "display_name": display_name}
        status, answer = await self.post("/people", body)
        assert status == 201, answer
        return UUID(answer["person"])

    async def bootstrap(self, login: str = "ada@example.org") -> UUID:
        body = {"login": login, "password": PASSWORD, "display_name": "Ada", "secret": BOOTSTRAP_SECRET}
        status, answer = await self.post("/bootstrap", body)
        assert status == 201, answer
        return UUID(answer["person"])

    async def try_login(self, login: str = "anna@example.org", password: str = PASSWORD, address: str = HERE) -> Answer:
        return await self.post("/sessions", {"login": login, "password": password, "address": address})

    async def log_in(self, login: str = "anna@example.org") -> dict[str, Any]:
        status, answer = await self.try_login(login)
        assert status == 200, answer
        tokens: dict[str, Any] = answer
        return tokens

    async def token_of(self, login: str) -> str:
        token: str = (await self.log_in(login))["access_token"]
        return token

    async def admin(self) -> str:
        """Makes the first admin; returns a token of hers."""
        await self.bootstrap()
        return await self.token_of("ada@example.org")

    async def hears(self, message: Message, by: str) -> list[Message]:
        """Takes a message from the log, and appends what auth says to it; returns that."""
        async with self.pool.acquire() as connection, connection.transaction():
            at = await connection.fetchval("SELECT clock_timestamp()")
            said = await Handling(service(), self.outbox).handle(connection, [received(message, by, at)], at)
            await self.outbox.append(connection, said)
        return [one.message for one in said]

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Asks the database as its superuser."""
        connection = await self.database.connect("postgres")
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def log(self) -> list[tuple[str, str, str]]:
        """Reads all that stands in the log: name, actor, body."""
        rows = await self.fetch("SELECT name, actor, body FROM bus.outbox ORDER BY position")
        return [tuple(row) for row in rows]

    def claims(self, token: str) -> UserClaims:
        return self.signer.verifier.verify(token, UserClaims)


def received(message: Message, by: str, at: datetime = datetime(2026, 6, 1, tzinfo=UTC)) -> Received[Message]:
    number = uuid7()
    envelope = Envelope(
        position=0,
        topic=message.topic,
        partition=0,
        schema=message.version,
        producer=0,
        id=number,
        cause=None,
        correlation=number,
        concludes=None,
        revision=None,
        at=at,
        name=message.name,
        stream=message.stream,
        actor=by,
        body=message.model_dump_json(),
    )
    return Received(envelope, message)


@asynccontextmanager
async def open_counter(
    database: Database, master_key_file: Path, hasher: Hasher | None = None, *, staff_needs_second_factor: bool = False
) -> AsyncIterator[Counter]:
    async with AsyncExitStack() as stack:
        pool = await connect_pool(database.url("auth"), "auth", most=8)
        stack.push_async_callback(close_pool, pool)
        signer = await open_signer(pool, master_key_file)
        obtain = partial(issue_service_token, pool, signer, "auth")
        registration = Registration(pool, uuid7(), service().may_append, obtain)
        await registration.register()
        outbox = Outbox(service(), registration)
        port = await stack.enter_async_context(
            serve(
                pool,
                outbox,
                signer,
                host="127.0.0.1",
                port=0,
                bootstrap_secret=BOOTSTRAP_SECRET,
                hasher=hasher or quick_hasher(),
                erasures=ErasureList(master_key_file.with_name("erasures.jsonl")),
                staff_needs_second_factor=staff_needs_second_factor,
            )
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Counter(database, pool, signer, outbox, f"http://127.0.0.1:{port}", http)
