"""The other ways in over HTTP: a WebSocket, lines, a file; each for whom it is meant alone."""

from contextlib import suppress
from io import BytesIO

import aiohttp
import pytest

from gateway.ports import ENDING
from handlers.auth.events import DeviceRegistered
from tests.gateway.gate import Gate

SHOTS = '{"shots": [{"epoch": "e", "number": 1}]}'


async def test_a_websocket_takes_posts_one_a_message_and_answers_each(gate: Gate) -> None:
    await gate.say("auth", DeviceRegistered(device="target-1", lane="lane-1"))
    headers = {"Authorization": f"Bearer {gate.device_token('target-1', 'lane-1')}"}
    async with gate.http.ws_connect(f"{gate.url}/v1/devices/target-1/shots/stream", headers=headers) as socket:
        for message in (SHOTS, "anything"):
            await socket.send_str(message)
            assert await socket.receive_json() == {"recorded": 1, "repeated": 0, "kept": 0, "ignored": 0}
        assert [raw for raw, *_ in gate.pushed] == [SHOTS.encode(), b"anything"]
        gate.app[ENDING].set()
        assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


async def test_a_websocket_of_another_device_or_a_person_is_not_opened(gate: Gate) -> None:
    await gate.say("auth", DeviceRegistered(device="target-1", lane="lane-1"))
    for token in (gate.device_token("target-2", "lane-1"), gate.token("admin"), "rubbish"):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await gate.http.ws_connect(
                f"{gate.url}/v1/devices/target-1/shots/stream", headers={"Authorization": f"Bearer {token}"}
            )
    refused = await gate.get("/v1/devices/target-1/shots/stream", gate.device_token("target-1", "lane-1"))
    assert refused.problem == "malformed-request"


async def test_lines_are_a_type_of_their_own(gate: Gate) -> None:
    await gate.say("auth", DeviceRegistered(device="target-1", lane="lane-1"))
    address = f"{gate.url}/v1/devices/target-1/shots/lines"
    headers = {"Authorization": f"Bearer {gate.device_token('target-1', 'lane-1')}"}
    async with gate.http.post(address, data=b"a\nb", headers={**headers, "Content-Type": "application/json"}) as answer:
        assert answer.status == 415
    ndjson = {**headers, "Content-Type": "application/x-ndjson"}
    async with gate.http.post(address, data=b"a\nb", headers=ndjson) as answer:
        assert answer.status == 200
    assert gate.pushed == [(b"a\nb", "target-1", "lane-1")]


async def test_a_file_may_be_larger_than_other_bodies_and_is_bounded(gate: Gate) -> None:
    address = f"{gate.url}/v1/lanes/lane-1/imports/shotmarker-tar"
    headers = {"Authorization": f"Bearer {gate.token('instructor')}", "Content-Type": "application/x-tar"}
    async with gate.http.post(address, data=BytesIO(bytes(1_000_000)), headers=headers) as answer:
        assert answer.status == 200
    with suppress(aiohttp.ClientConnectionError):  # it may be cut off in the middle of it
        async with gate.http.post(address, data=BytesIO(bytes(5_000_000)), headers=headers) as answer:
            assert answer.status == 413
    assert [(len(raw), form, lane) for raw, form, lane in gate.pushed] == [(1_000_000, "shotmarker-tar", "lane-1")]


async def test_staff_sees_how_each_target_stands(gate: Gate) -> None:
    answer = await gate.get("/v1/targets", gate.token("armourer"))
    (target,) = answer.body["items"]
    assert (target["device"], target["connected"], target["shots"]) == ("target-1", True, 3)
    assert (target["heard_at"], target["alarms"], target["missing"]) == (None, [], [])
