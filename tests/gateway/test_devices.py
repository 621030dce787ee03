"""Targets that post shots: each for its own lane, signed where it has a key pair, and not at all once revoked."""

import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from handlers.auth.events import DeviceRegistered, DeviceRevoked
from tests.gateway.gate import Answer, Gate

BODY = json.dumps({"shots": [{"epoch": "e", "number": 1}]}).encode()
SHOTS = "/v1/devices/target-1/shots"


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


async def registered(gate: Gate, key: Ed25519PrivateKey | None = None, lane: str = "lane-1") -> str:
    public = None if key is None else text(key.public_key().public_bytes_raw())
    await gate.say("auth", DeviceRegistered(device="target-1", lane=lane, public_key=public))
    return gate.device_token("target-1", lane)


async def post(gate: Gate, token: str, signature: str | None = None, body: bytes = BODY) -> Answer:
    headers = {} if signature is None else {"Firingline_Signature": signature}
    return await gate.ask("POST", SHOTS, token, body, headers=headers)


async def test_a_target_with_a_key_pair_is_heard_only_if_it_signed_this_body(gate: Gate):
    key = Ed25519PrivateKey.generate()
    token = await registered(gate, key)
    good = text(key.sign(b"target-1\n" + BODY))
    forged = {
        "none": None,
        "rubbish": "?",
        "umlauts": "\u00e4",
        "of another key": text(Ed25519PrivateKey.generate().sign(b"target-1\n" + BODY)),
        "of another target": text(key.sign(b"target-2\n" + BODY)),
        "of another body": text(key.sign(b"target-1\n" + BODY + b" ")),
        "of the body alone": text(key.sign(BODY)),
    }
    for what, signature in forged.items():
        answer = await post(gate, token, signature)
        assert (answer.status, answer.problem) == (401, "unauthenticated"), what
    assert gate.pushed == []
    assert (await post(gate, token, good)).status == 200
    assert gate.pushed == [(BODY, "target-1", "lane-1")]


async def test_a_revoked_target_is_not_heard_whatever_token_it_has(gate: Gate):
    token = await registered(gate)
    assert (await post(gate, token)).status == 200
    await gate.say("auth", DeviceRevoked(device="target-1", revoked_by="person:ada", reason="stolen"))
    assert (await post(gate, token)).problem == "unauthenticated"
    assert len(gate.pushed) == 1
    await registered(gate)
    assert (await post(gate, token)).status == 200


async def test_a_target_that_moved_reports_no_more_for_its_old_lane(gate: Gate):
    token = await registered(gate)
    await registered(gate, lane="lane-2")
    assert (await post(gate, token)).problem == "unauthenticated"
    assert gate.pushed == []


async def test_while_the_database_is_away_a_target_is_heard_as_it_was_last_known(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    token = await registered(gate)

    async def away(connection: object, name: str) -> None:
        del connection, name
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr("gateway.devices.device", away)
        assert (await post(gate, token)).problem == "database-away", "nobody knows it yet"
    assert (await post(gate, token)).status == 200
    with monkeypatch.context() as patched:
        patched.setattr("gateway.devices.device", away)
        assert (await post(gate, token)).status == 200
    assert len(gate.pushed) == 2
