"""What comes in over a raw socket: slow, half, twice, too much, or not HTTP at all."""

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from tests.database import Database
from tests.gateway import examples
from tests.gateway.gate import Gate, open_gate

WITHIN_S = 3.0


async def exchange(gate: Gate, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Sends parts with pauses, and reads until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    try:
        for part in parts:
            try:
                writer.write(part)
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(WITHIN_S):
            return await _all(reader)
    finally:
        writer.close()


async def _all(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while part := await reader.read(65_536):
            found += part
    except ConnectionError:
        pass
    return found


def head(gate: Gate, *lines: str, method: str = "POST", path: str = "/v1/bookings", version: str = "1.1") -> bytes:
    given = ["Host: x", f"Authorization: Bearer {gate.token()}", "Connection: close", *lines]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *given, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the deadlines short enough to wait for."""
    monkeypatch.setattr("gateway.server.KEEPALIVE_S", 0.4)
    monkeypatch.setattr("gateway.server.LINGER_S", 0.1)
    monkeypatch.setattr("gateway.body.READ_WITHIN_S", 0.4)


async def test_silent_half_and_dripped_heads_are_hung_up_on_and_others_served(gate: Gate):
    began = time.monotonic()
    silent, half, dripped, served = await asyncio.gather(
        exchange(gate),
        exchange(gate, b"GET /health/live HTTP/1.1\r\nHost"),
        exchange(gate, *([b"X-A: 1\r\n"] * 20), pause_s=0.1),
        gate.get("/health/live"),
    )
    assert time.monotonic() - began < WITHIN_S
    assert (silent, half) == (b"", b"")
    assert status_of(dripped) in {0, 400}
    assert served.status == 200


async def test_half_a_body_is_given_up(gate: Gate):
    answer = await exchange(gate, head(gate, "Content-Type: application/json", "Content-Length: 100"), b'{"lane"')
    assert status_of(answer) == 408
    assert b"/problems/body-too-slow" in answer


async def test_too_long_a_body_is_refused_before_it_is_sent(gate: Gate):
    answer = await exchange(gate, head(gate, "Content-Type: application/json", "Content-Length: 65537"))
    assert status_of(answer) == 413
    assert b"/problems/body-too-large" in answer


async def test_too_long_a_body_is_refused_while_it_streams(gate: Gate):
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    answer = await exchange(
        gate, head(gate, "Content-Type: application/json", "Transfer-Encoding: chunked"), *[chunk] * 12, b"0\r\n\r\n"
    )
    assert status_of(answer) == 413


async def test_what_is_not_http_is_answered_by_a_problem_that_tells_nothing(gate: Gate):
    body = json.dumps(examples.WISH).encode()
    length = f"Content-Length: {len(body)}"
    for what, sent in {
        "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        "a wrong length": head(gate, "Content-Type: application/json", "Content-Length: -5") + body,
        "two lengths": head(gate, "Content-Type: application/json", length, "Content-Length: 3") + body,
        "length and chunks": head(gate, "Content-Type: application/json", length, "Transfer-Encoding: chunked") + body,
        "two hosts": head(gate, "Host: y", method="GET"),
        "two hundred headers": head(gate, *(f"X-{n}: 1" for n in range(200)), method="GET"),
        "a long header": head(gate, "X-Long: " + "a" * 9000, method="GET"),
        "wrong chunks": head(gate, "Content-Type: application/json", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n",
    }.items():
        answer = await exchange(gate, sent)
        assert status_of(answer) == 400, (what, answer)
        assert b"application/problem+json" in answer, what
        assert b"/problems/malformed-request" in answer, what
        assert b"aiohttp" not in answer.lower(), what
        assert b"python" not in answer.lower(), what
    assert await gate.logged() == []


async def test_other_versions_and_methods_are_refused(gate: Gate):
    assert status_of(await exchange(gate, head(gate, method="GET", version="2.0"))) in {400, 505}
    assert status_of(await exchange(gate, head(gate, method="GET", path="/health/live", version="1.0"))) == 200
    for method in ("TRACE", "OPTIONS", "DELETE", "PATCH", "PUT", "BREW"):
        answer = await exchange(gate, head(gate, method=method))
        assert status_of(answer) in {405, 400}, method
        assert b"/problems/" in answer, method
    refused = await gate.ask("DELETE", "/v1/bookings", gate.token())
    assert (refused.problem, refused.headers["Allow"]) == ("method-not-allowed", "GET,POST")
    assert (await gate.get("/v1/nothing", gate.token())).problem == "not-found"


async def test_a_command_whose_sender_hangs_up_is_finished_all_the_same(gate: Gate):
    body = json.dumps(examples.WISH).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Prefer: wait=30")
    _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    holding = await gate.database.connect("postgres")
    try:
        async with holding.transaction():
            await holding.execute("LOCK TABLE bus.accepted IN EXCLUSIVE MODE")
            writer.write(head(gate, *lines) + body)
            await _until(
                gate, "SELECT count(*) FROM pg_locks WHERE relation = 'bus.accepted'::regclass AND NOT granted"
            )
            writer.transport.abort()
    finally:
        await holding.close()
    await _until(gate, "SELECT count(*) FROM bus.outbox WHERE name = 'booking.book-session'")


async def _until(gate: Gate, count: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while (await gate.fetch(count))[0][0] != 1:
            await asyncio.sleep(0.02)


async def test_whoever_waits_while_the_gateway_stops_is_answered(database: Database, tmp_path: Path):
    async with aiohttp.ClientSession() as http:
        async with open_gate(database, tmp_path) as gate:
            sent = {"Authorization": f"Bearer {gate.token()}", "Prefer": "wait=30"}
            asking = asyncio.create_task(http.post(f"{gate.url}/v1/bookings", json=examples.WISH, headers=sent))
            await _until(gate, "SELECT count(*) FROM bus.outbox WHERE name = 'booking.book-session'")
            began = time.monotonic()
        assert time.monotonic() - began < WITHIN_S
        async with await asking as response:
            assert response.status == 202


async def test_every_answer_has_its_headers(gate: Gate):
    for answer in (await gate.get("/health/live"), await gate.get("/"), await gate.get("/nothing")):
        assert answer.headers["Server"] == "firingline"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Request-ID"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    mine = await gate.get("/health/live", X_Request_ID="abc-123")
    assert mine.headers["X-Request-ID"] == "abc-123"
    forged = await gate.get("/health/live", X_Request_ID="a b<script>")
    assert forged.headers["X-Request-ID"] != "a b<script>"
