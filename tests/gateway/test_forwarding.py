"""What goes to auth's own endpoint: repeated where that is safe, refused at once while auth is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina
from aiohttp import web

from bus.identity import uuid7
from tests.database import Database
from tests.gateway.gate import Gate, open_gate
from tests.handlers.auth.counter import BOOTSTRAP_SECRET, LICENCE, PASSWORD, open_counter


@asynccontextmanager
async def with_auth(database: Database, folder: Path) -> AsyncIterator[Gate]:
    async with (
        open_counter(database, folder / "master.key") as counter,
        open_gate(database, folder, auth_url=counter.url) as gate,
    ):
        yield gate


async def test_a_person_registers_logs_in_and_is_known(database: Database, tmp_path: Path):
    async with with_auth(database, tmp_path) as gate:
        robin = {"login": "robin", "password": PASSWORD, "display_name": "Robin"}
        registered = await gate.post("/v1/people", robin)
        assert registered.status == 201
        assert (await gate.post("/v1/people", robin)).problem == "login-taken"
        wrong = await gate.post("/v1/sessions", {"login": "robin", "password": "wrong"})
        assert (wrong.status, wrong.body["type"]) == (401, "/problems/login-refused")
        tokens = (await gate.post("/v1/sessions", {"login": "robin", "password": PASSWORD})).body
        me = await gate.get("/v1/me", tokens["access_token"])
        assert (me.body["person"], me.body["display_name"]) == (registered.body["person"], "Robin")
        again = await gate.post("/v1/sessions/refresh", {"refresh_token": tokens["refresh_token"]})
        assert again.status == 200
        ended = await gate.post("/v1/sessions/logout", {"refresh_token": again.body["refresh_token"]})
        assert (ended.status, ended.body) == (204, b"")
        stranger = gate.token()
        assert (await gate.get(f"/v1/people/{registered.body['person']}", stranger)).problem == "not-found"


async def test_staff_records_a_licence_and_a_target(database: Database, tmp_path: Path):
    async with with_auth(database, tmp_path) as gate:
        ada = {"login": "ada", "password": PASSWORD, "display_name": "Ada"}
        assert (await gate.post("/v1/bootstrap", {**ada, "secret": "guessed"})).status == 403
        assert (await gate.post("/v1/bootstrap", {**ada, "secret": BOOTSTRAP_SECRET})).status == 201
        admin = (await gate.post("/v1/sessions", {"login": "ada", "password": PASSWORD})).body["access_token"]
        robin = {"login": "robin", "password": PASSWORD, "display_name": "Robin"}
        person = (await gate.post("/v1/people", robin)).body["person"]
        recorded = await gate.post(f"/v1/people/{person}/licences", LICENCE, admin)
        assert recorded.status == 201
        licences = (await gate.get(f"/v1/people/{person}/licences", admin)).body["items"]
        assert [one["licence"] for one in licences] == [recorded.body["licence"]]
        assert "4711" not in str(licences), "the number stays with auth"
        refused = await gate.post(f"/v1/people/{person}/licences", LICENCE, gate.token())
        assert refused.problem == "not-permitted"
        device = (await gate.post("/v1/devices", {"device": "target-1", "lane": "lane-1"}, admin)).body
        proof = {"device": "target-1", "secret": device["secret"]}
        token = (await gate.post("/v1/devices/token", proof)).body["access_token"]
        assert (await gate.post("/v1/devices/target-1/shots", {"shots": []}, token)).status == 200


async def test_while_auth_is_away_the_rest_goes_on(gate: Gate):
    login = {"login": "robin", "password": PASSWORD}
    with stamina.set_testing(True, attempts=2):
        answers = [await gate.post("/v1/sessions", login) for _ in range(4)]
    assert {(one.status, one.problem) for one in answers} == {(503, "auth-away")}
    assert {one.headers["Retry-After"] for one in answers} == {"2"}
    assert (await gate.get("/v1/lanes", gate.token())).status == 200


class Moody:
    """An auth that is told how to behave."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.failures = 0
        self.answer: dict[str, Any] = {}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.path, await request.read()))
        if self.failures:
            self.failures -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.answer)


@pytest.fixture
async def moody(database: Database, tmp_path: Path) -> AsyncIterator[tuple[Gate, Moody]]:
    auth = Moody()
    runner = web.ServerRunner(web.Server(auth))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with open_gate(database, tmp_path, auth_url=f"http://127.0.0.1:{runner.addresses[0][1]}") as gate:
        yield gate, auth
    await runner.cleanup()


async def test_what_may_be_repeated_is_and_what_may_not_is_not(moody: tuple[Gate, Moody]):
    gate, auth = moody
    auth.failures = 1
    assert (await gate.post("/v1/sessions/refresh", {"refresh_token": "x"})).status == 200
    assert len(auth.asked) == 2
    auth.failures = 1
    lost = await gate.post("/v1/people", {"login": "robin", "password": PASSWORD, "display_name": "R"})
    assert lost.problem == "auth-away"
    assert len(auth.asked) == 3


async def test_auth_is_told_from_where_a_login_comes_by_us_and_not_by_the_client(moody: tuple[Gate, Moody]):
    gate, auth = moody
    login = {"login": "robin", "password": "secret"}
    assert (await gate.post("/v1/sessions", login, X_Forwarded_For="6.6.6.6")).status == 200
    assert b'"address":"127.0.0.1"' in auth.asked[0][1]
    forged = await gate.post("/v1/sessions", {**login, "address": "6.6.6.6"})
    assert forged.problem == "invalid-request"


async def test_the_circuit_opens_and_a_probe_closes_it(moody: tuple[Gate, Moody]):
    gate, auth = moody
    gate.ports.auth._breakers.default_ttl = 0.2
    auth.failures = 5
    body = {"login": "robin", "password": PASSWORD, "display_name": "R"}
    for _ in range(5):
        assert (await gate.post("/v1/people", body)).problem == "auth-away"
    assert (await gate.post("/v1/people", body)).problem == "auth-away"
    assert len(auth.asked) == 5, "the sixth was told without asking"
    async with asyncio.timeout(5):
        while (await gate.post("/v1/people", body)).status != 200:
            await asyncio.sleep(0.05)


async def test_an_answer_without_end_is_no_answer(moody: tuple[Gate, Moody]):
    gate, auth = moody
    auth.answer = {"long": "x" * 300_000}
    assert (await gate.post("/v1/people", {"login": str(uuid7())})).problem == "auth-away"
