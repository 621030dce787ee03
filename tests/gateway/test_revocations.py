"""Tokens that count no more are refused, streams are closed, and where that is not known staff is not admitted."""

import asyncio

import pytest

from bus.identity import uuid7
from gateway.revocations import Revocations
from tests.gateway import examples
from tests.gateway.gate import Gate

LIVE = "/v1/lanes/lane-1/live"


async def revoke(gate: Gate, person: object) -> None:
    """Lets auth have said that no token of this person counts."""
    await gate.fetch(
        """
        INSERT INTO auth.person (person, roles, disabled, tokens_since, erased, age)
        VALUES ($1, '{}', true, clock_timestamp() + interval '5 seconds', false, 0)
        """,
        person,
    )
    await gate.fetch("NOTIFY firingline")


async def refused(gate: Gate, token: str) -> bool:
    answer = await gate.get("/v1/lanes", token)
    assert answer.status in {200, 401}
    return answer.status == 401 and answer.problem == "unauthenticated"


async def test_a_revoked_token_is_refused_and_others_go_on(gate: Gate):
    person = uuid7()
    token, other = gate.token(person=person), gate.token()
    assert not await refused(gate, token)
    await revoke(gate, person)
    async with asyncio.timeout(5):
        while not await refused(gate, token):
            await asyncio.sleep(0.01)
    assert not await refused(gate, other)


async def test_a_revocation_is_known_without_the_bell(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.revocations.READ_EVERY_S", 0.05)
    person = uuid7()
    token = gate.token(person=person)
    await gate.fetch(
        "INSERT INTO auth.person VALUES ($1, '{}', true, clock_timestamp() + interval '5 s', NULL, false, 0)", person
    )
    async with asyncio.timeout(5):
        while not await refused(gate, token):
            await asyncio.sleep(0.01)


async def test_the_streams_of_a_revoked_token_are_closed(gate: Gate):
    await gate.say("booking", examples.SET_UP, examples.lane())
    person = uuid7()
    headers = {"Authorization": f"Bearer {gate.token('instructor', person=person)}"}
    async with gate.http.get(gate.url + LIVE, headers=headers) as response:
        assert response.status == 200
        await response.content.readuntil(b"\n\n")
        await revoke(gate, person)
        async with asyncio.timeout(5):
            await response.read()


async def test_while_nobody_knows_what_was_revoked_no_staff_is_admitted(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    async def away(_: object) -> dict[object, object]:
        raise ConnectionError

    assert (await gate.get("/v1/ammunition", gate.token("armourer"))).status == 200
    monkeypatch.setattr("gateway.revocations.revocations", away)
    monkeypatch.setattr("gateway.revocations.FRESH_FOR_S", 0.0)
    answer = await gate.get("/v1/ammunition", gate.token("armourer"))
    assert (answer.status, answer.problem) == (503, "database-away")
    assert answer.headers["Retry-After"] == "1"
    assert (await gate.get("/v1/lanes", gate.token())).status == 200


async def test_what_was_read_is_fresh_for_some_seconds(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    revocations = Revocations(gate.ports.pool, gate.ports.bell)
    assert not revocations.fresh
    assert await revocations.are_known()
    monkeypatch.setattr("gateway.revocations.FRESH_FOR_S", 0.0)
    assert not revocations.fresh
