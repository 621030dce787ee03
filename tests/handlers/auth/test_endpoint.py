import asyncio
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import pytest

from handlers.auth import people
from handlers.auth.endpoint import problems
from handlers.auth.endpoint.routes import ROUTES
from tests.handlers.auth.counter import LICENCE, PASSWORD, Counter

REGISTRATION = {"login": "anna", "password": PASSWORD, "display_name": "Anna"}
JSON = {"Content-Type": "application/json"}


async def send(counter: Counter, content: str | bytes, **headers: str) -> tuple[int, Any]:
    return await counter.ask("POST", "/people", data=content, headers={**JSON, **headers})


WRONG_BODIES: list[tuple[str | bytes, int, str]] = [
    ("", 400, "malformed-body"),
    ("{", 400, "malformed-body"),
    ("[" * 60_000, 400, "malformed-body"),
    ('{"a":' * 10_000, 400, "malformed-body"),
    (b"\xff\xfe", 400, "malformed-body"),
    (json.dumps(REGISTRATION)[:-1] + ', "login": "eve"}', 400, "malformed-body"),
    (json.dumps(REGISTRATION).replace("Anna", "\\ud800"), 400, "malformed-body"),
    ("null", 422, "invalid-request"),
    ("[]", 422, "invalid-request"),
    ("NaN", 422, "invalid-request"),
    ("{}", 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "login": "a\x00nna"}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "login": "anna schmidt"}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "login": "an"}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "login": 7}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "login": "x" * 255}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "display_name": "Anna\nroot"}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "display_name": "  "}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "password": "x" * 1025}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "roles": ["admin"]}), 422, "invalid-request"),
    (json.dumps({**REGISTRATION, "display_name": "x" * 65_536}), 413, "body-too-large"),
]


async def test_a_wrong_body_is_refused_and_changes_nothing(counter: Counter) -> None:
    for content, status, name in WRONG_BODIES:
        answer = await send(counter, content)
        given = (answer[0], answer[1]["type"], answer[1]["status"])
        assert given == (status, f"/problems/{name}", status), content[:200]
        assert answer[1]["title"]
    assert await counter.log() == []


async def test_a_large_body_without_a_length_is_cut_off(counter: Counter) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 4096

    status, answer = await counter.ask("POST", "/people", data=chunks(), headers=JSON)
    assert (status, answer["type"]) == (413, "/problems/body-too-large")


async def test_a_body_that_does_not_come_is_not_waited_for(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.auth.endpoint.reading.BODY_WITHIN_S", 0.05)
    port = int(counter.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /people HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Encoding": "identity"},
    ],
)
async def test_only_plain_json_is_read(counter: Counter, headers: dict[str, str]) -> None:
    status, answer = await send(counter, json.dumps(REGISTRATION), **headers)
    assert (status, answer["type"]) == (415, "/problems/unsupported-media-type")


async def test_an_error_names_the_place_and_repeats_nothing(counter: Counter) -> None:
    body = {"login": "x\ncanary", "password": ["canary"], "display_name": "Anna", "canary": "canary"}
    status, answer = await counter.post("/people", body)
    assert status == 422
    assert {error["pointer"] for error in answer["errors"]} == {"#/login", "#/password", "#"}
    assert "canary" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/people", 405, "method-not-allowed"),
        ("DELETE", "/sessions", 405, "method-not-allowed"),
        ("TRACE", "/health", 405, "method-not-allowed"),
        ("HEAD", "/health", 405, None),
    ],
)
async def test_what_is_not_there_is_said(
    counter: Counter, method: str, path: str, status: int, name: str | None
) -> None:
    answer = await counter.ask(method, path)
    assert answer[0] == status
    if name is not None:
        assert answer[1]["type"] == f"/problems/{name}"


async def test_an_answer_says_nothing_of_the_server(counter: Counter) -> None:
    async with counter.http.get(counter.url + "/health") as response:
        assert "Server" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.json() == {"status": "ok"}


NEEDS_A_TOKEN = [
    ("GET", "/people/{person}"),
    ("POST", "/people/{person}/licences"),
    ("PUT", "/people/{person}/password"),
    ("POST", "/people/{person}/second-factor"),
    ("POST", "/people/{person}/second-factor/confirm"),
    ("POST", "/people/{person}/second-factor/remove"),
    ("GET", "/people/{person}/export"),
    ("POST", "/people/{person}/erase"),
    ("GET", "/people/{person}/sessions"),
    ("DELETE", "/people/{person}/sessions"),
    ("DELETE", "/people/{person}/sessions/{session}"),
    ("POST", "/rules/trial"),
    ("POST", "/devices"),
]


AUTHORIZATIONS = [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "token"]


async def test_without_a_token_nothing_is_told_or_done(counter: Counter) -> None:
    person = await counter.register()
    before = await counter.log()
    for (method, path), authorization in product(NEEDS_A_TOKEN, AUTHORIZATIONS):
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = await counter.ask(method, path.format(person=person, session=person), json=LICENCE, headers=headers)
        assert (answer[0], answer[1]["type"]) == (401, "/problems/unauthenticated"), (path, authorization)
    assert await counter.log() == before


def test_which_routes_are_open_is_written_down() -> None:
    open_routes = {
        ("POST", "/people"),
        ("POST", "/sessions"),
        ("POST", "/sessions/refresh"),
        ("POST", "/sessions/logout"),
        ("POST", "/devices/token"),
        ("POST", "/service-tokens"),
        ("POST", "/bootstrap"),
        ("GET", "/health"),
    }
    assert {(route.method, route.path) for route in ROUTES} == open_routes | set(NEEDS_A_TOKEN)


async def test_a_token_of_somebody_who_is_not_there_is_refused(counter: Counter) -> None:
    person = await counter.register()
    token = await counter.token_of("anna@example.org")
    await counter.fetch("DELETE FROM auth.person WHERE person = $1", person)
    assert (await counter.get(f"/people/{person}", token))[0] == 401


FAULTS: list[tuple[Exception, int, str]] = [
    (RuntimeError("canary"), 500, "fault"),
    (RecursionError("canary"), 500, "fault"),
    (asyncpg.UniqueViolationError("canary"), 500, "fault"),
    (asyncpg.CheckViolationError("canary"), 500, "fault"),
    (asyncpg.DeadlockDetectedError("canary"), 503, "busy"),
    (asyncpg.QueryCanceledError("canary"), 503, "busy"),
    (asyncpg.InvalidAuthorizationSpecificationError("canary"), 503, "busy"),
    (asyncpg.AdminShutdownError("canary"), 503, "database-away"),
    (ConnectionRefusedError("canary"), 503, "database-away"),
    (TimeoutError("canary"), 503, "database-away"),
    (asyncpg.InternalClientError("canary"), 503, "database-away"),
]


async def test_a_fault_is_an_answer_that_tells_nothing(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status, name in FAULTS:
        monkeypatch.setattr(people, "register", AsyncMock(side_effect=error))
        answer = await counter.post("/people", REGISTRATION)
        assert (answer[0], answer[1]["type"]) == (status, f"/problems/{name}"), repr(error)
        assert "canary" not in json.dumps(answer)


async def test_a_fault_is_logged_without_what_variables_held(
    counter: Counter,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails(_desk: object, newcomer: people.Newcomer) -> None:
        password = newcomer.password
        raise RuntimeError(f"the fault, of {len(password)} letters")

    monkeypatch.setattr(people, "register", fails)
    assert (await counter.post("/people", REGISTRATION))[0] == 500
    seen = "".join((*capfd.readouterr(), caplog.text))  # wherever the log goes in this process
    assert "the fault" in seen
    assert PASSWORD not in seen


async def test_with_the_database_away_nobody_gets_in(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    await counter.fetch("ALTER ROLE firingline_auth CONNECTION LIMIT 0")
    try:
        await counter.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'firingline_auth'")
        answers = [
            await counter.try_login(),
            await counter.post("/sessions/refresh", {"refresh_token": tokens["refresh_token"]}),
            await counter.get(f"/people/{tokens['person']}", tokens["access_token"]),
            await counter.get("/health"),
        ]
    finally:
        await counter.fetch("ALTER ROLE firingline_auth CONNECTION LIMIT -1")
    assert {status for status, _ in answers} == {503}
    async with asyncio.timeout(5):
        while (await counter.try_login())[0] != 200:
            await asyncio.sleep(0.01)


def test_every_refusal_of_the_endpoint_has_a_status_and_a_title() -> None:
    assert set(problems.STATUS.values()) <= set(problems.TITLE)
    assert all(kind.__doc__ and kind.__doc__.endswith(".") for kind in problems.STATUS)
