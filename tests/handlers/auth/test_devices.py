import json

import pytest

from bus.tokens import DeviceClaims
from handlers.auth import views
from handlers.auth.commands import AssignRoles, RevokeDevice
from tests.handlers.auth.counter import Answer, Counter


async def admit(counter: Counter, secret: str, device: str = "target-3") -> Answer:
    return await counter.post("/devices/token", {"device": device, "secret": secret})


async def register(counter: Counter, token: str, lane: str = "lane-3") -> str:
    status, answer = await counter.post("/devices", {"device": "target-3", "lane": lane}, token)
    assert status == 201, answer
    secret: str = answer.pop("secret")
    assert answer == {"device": "target-3", "lane": lane}
    return secret


async def test_a_registered_target_gets_tokens_for_its_lane(counter: Counter) -> None:
    secret = await register(counter, await counter.admin())
    status, answer = await admit(counter, secret)
    assert (status, answer["lanes"], answer["expires_in_s"]) == (200, ["lane-3"], 900)
    claims = counter.signer.verifier.verify(answer["access_token"], DeviceClaims)
    assert (claims.subject, claims.lanes) == ("device:target-3", ("lane-3",))
    assert (claims.expires_at - claims.issued_at).total_seconds() == 900


async def test_the_log_hears_of_device_and_lane(counter: Counter) -> None:
    secret = await register(counter, await counter.admin())
    name, _, body = (await counter.log())[-1]
    assert (name, json.loads(body)) == (
        "auth.device-registered",
        {"lane": "lane-3", "device": "target-3", "public_key": None},
    )
    rows = await counter.fetch("SELECT t::text AS row FROM auth.device_secret AS t")
    assert secret not in rows[0]["row"]


async def test_a_target_that_moves_gets_a_new_secret_and_loses_the_old(counter: Counter) -> None:
    token = await counter.admin()
    old, new = await register(counter, token), await register(counter, token, "lane-4")
    assert (await admit(counter, old))[0] == 401
    assert (await admit(counter, new))[1]["lanes"] == ["lane-4"]
    async with counter.pool.acquire() as connection:
        assert [one.device for one in await views.devices(connection, "lane-4")] == ["target-3"]
        assert await views.devices(connection, "lane-3") == []


@pytest.mark.parametrize("device", ["target-3", "target-4"])
async def test_a_wrong_secret_and_an_unknown_target_get_one_answer(counter: Counter, device: str) -> None:
    await register(counter, await counter.admin())
    status, answer = await admit(counter, "guessed", device)
    assert (status, answer["type"], answer["detail"]) == (
        401,
        "/problems/device-refused",
        "No device of this name has this secret.",
    )


async def test_only_staff_registers_targets(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    token, body = await counter.token_of("anna@example.org"), {"device": "target-3", "lane": "lane-3"}
    assert (await counter.post("/devices", body, token))[0] == 403
    assert (await counter.post("/devices", body))[0] == 401
    await counter.hears(AssignRoles(person=anna, roles=("armourer",)), f"person:{ada}")
    token = await counter.token_of("anna@example.org")
    assert (await counter.post("/devices", body, token))[0] == 201


async def test_a_target_s_token_opens_no_door_of_auth(counter: Counter) -> None:
    secret = await register(counter, await counter.admin())
    _, answer = await admit(counter, secret)
    assert (await counter.post("/devices", {"device": "a", "lane": "b"}, answer["access_token"]))[0] == 401


async def test_staff_revokes_a_target_and_it_gets_no_token(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    token = await counter.token_of("ada@example.org")
    secret = await register(counter, token)
    ask = RevokeDevice(device="target-3", reason="stolen")
    for actor, rule in ((f"person:{anna}", "not-allowed"), ("service:auth", "not-allowed")):
        (refused,) = await counter.hears(ask, actor)
        assert refused.rule == rule  # type: ignore[attr-defined]
    assert (await admit(counter, secret))[0] == 200
    assert [one.name for one in await counter.hears(ask, f"person:{ada}")] == ["auth.device-revoked"]
    assert (await admit(counter, secret))[0] == 401
    async with counter.pool.acquire() as connection:
        assert await views.device(connection, "target-3") is None
    (again,) = await counter.hears(ask, f"person:{ada}")
    assert again.rule == "device-already-revoked"  # type: ignore[attr-defined]
    (unknown,) = await counter.hears(RevokeDevice(device="target-9", reason="stolen"), f"person:{ada}")
    assert unknown.rule == "device-unknown"  # type: ignore[attr-defined]
    assert (await admit(counter, await register(counter, token)))[0] == 200
