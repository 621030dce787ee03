import asyncio
from hashlib import sha256

import pytest

from gateway.problems import JOURNAL_FULL, Problem
from gateway.tracking import recorder
from gateway.tracking.push import PushResult
from tests.gateway.tracking.conftest import Gateway

FRAME = (
    b'{"shot":1, "session_type":5, "time":1234, "time_to_go":0, "x":-0.39, "y":-2.77, "r":  2.80, "a":-98.01, '
    b'"target":110 , "athelete":"A. Shooter", "event":"", "target_name":"Rifle"}'
)
OURS = b'{"shots": [{"epoch": "boot-1", "number": 1, "x_um": -390, "y_um": -2770, "elapsed_ms": 1234}]}'


async def push(gateway: Gateway, body: bytes) -> PushResult:
    async with gateway.at_work() as tracking:
        return await tracking.push(body, "target-7", "lane-1")


async def test_a_real_targets_own_post_is_recorded(gateway: Gateway) -> None:
    told = await push(gateway, FRAME)
    (shot,) = await gateway.shots()
    assert told == PushResult(recorded=1, repeated=0, ignored=0)
    assert (shot.device, shot.lane, shot.x_um, shot.y_um) == ("target-7", "lane-1", -390, -2770)
    assert shot.face == "air-rifle-10m"
    assert shot.raw_sha256 == sha256(FRAME).hexdigest()
    (kept,) = gateway.kept()
    assert (kept.raw, kept.way) == (FRAME, "http")
    assert "Shooter" not in shot.model_dump_json()


async def test_who_posted_is_told_with_the_shot(gateway: Gateway) -> None:
    await push(gateway, FRAME)
    assert await gateway.pool.fetchval("SELECT actor FROM bus.outbox") == "device:target-7"


@pytest.mark.parametrize("bodies", [(FRAME, OURS), (OURS, FRAME), (OURS, OURS), (FRAME, FRAME)])
async def test_the_same_shot_posted_twice_counts_once_in_either_form(
    gateway: Gateway, bodies: tuple[bytes, bytes]
) -> None:
    await push(gateway, bodies[0])
    assert await push(gateway, bodies[1]) == PushResult(recorded=0, repeated=1, ignored=0)
    assert len(await gateway.shots()) == 1


async def test_shots_in_our_form_go_together_under_their_bodys_hash(gateway: Gateway) -> None:
    body = b'{"shots": [%s]}' % b",".join(b'{"epoch": "e", "number": %d, "miss": true}' % n for n in range(1, 501))
    told = await push(gateway, body)
    shots = await gateway.shots()
    assert told.recorded == 500
    assert {shot.raw_sha256 for shot in shots} == {sha256(body).hexdigest()}
    assert {(shot.miss, shot.x_um, shot.kind) for shot in shots} == {(True, 0, "match")}


async def test_the_prime_frame_is_taken_and_means_nothing(gateway: Gateway) -> None:
    told = await push(gateway, b'{"shot":0, "x":0, "y":0, "r":0, "a":0,"target":100}')
    assert told == PushResult(recorded=0, repeated=0, ignored=1)
    assert await gateway.shots() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"[1]", 400),
        (b"{", 400),
        (b'{"shots":', 400),
        (b'{"shots": []}', 422),
        (b'{"shots": 1}', 422),
        (b'{"shots": [{"epoch": "e"}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": 0}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": true}]}', 422),
        (b'{"shots": [{"epoch": "e\\u0000", "number": 1}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": 1, "x_um": 1.5}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": 1, "x_um": 10000001}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": 1, "score": 10.9}]}', 422),
        (b'{"shots": [{"epoch": "e", "number": 1}, {"epoch": "e", "number": -2}]}', 422),
        (b'{"shots": [%s]}' % b",".join([b'{"epoch": "e", "number": 1}'] * 501), 422),
        (b'{"shot": 1, "x": 1}', 422),
        (b'{"shot": 1, "x": "a", "y": 1}', 422),
        (b'{"shot": 1, "x": 1, "y": 1}{"shot": 2, "x": 1}', 422),
    ],
)
async def test_a_wrong_body_is_refused_whole(gateway: Gateway, body: bytes, status: int) -> None:
    with pytest.raises(Problem) as refused:
        await push(gateway, body)
    assert refused.value.kind.status == status
    assert await gateway.shots() == []
    assert await gateway.pool.fetchval("SELECT count(*) FROM tracking.fingerprint") == 0


async def test_a_frame_that_is_refused_is_kept_as_it_came(gateway: Gateway) -> None:
    with pytest.raises(Problem):
        await push(gateway, b'{"shot": 1, "x": "a", "y": 1}')
    (kept,) = gateway.kept()
    assert (kept.raw, kept.verdict) == (b'{"shot": 1, "x": "a", "y": 1}', "wrong: x is no number")


async def test_a_post_while_the_log_does_not_take_it_is_answered_as_kept_and_recorded_later(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "ANSWER_WITHIN_S", 0.1)
    gateway.producer.id, registered = 0, gateway.producer.id
    told = await push(gateway, FRAME)
    assert (told.recorded, told.kept) == (0, 1)
    assert await gateway.pool.fetchval("SELECT count(*) FROM tracking.fingerprint") == 0
    gateway.producer.id = registered
    async with gateway.recording():
        while not (there := await gateway.shots()):
            await asyncio.sleep(0.01)
    (shot,) = there
    assert shot.raw_sha256 == sha256(FRAME).hexdigest()
    assert (await push(gateway, FRAME)).repeated == 1


async def test_a_post_that_cannot_be_kept_is_not_taken(gateway: Gateway) -> None:
    (gateway.home / "frames").write_text("in the way")
    with pytest.raises(Problem) as refused:
        await push(gateway, FRAME)
    assert refused.value.kind == JOURNAL_FULL
    assert await gateway.shots() == []
    (gateway.home / "frames").unlink()
    assert (await push(gateway, FRAME)).recorded == 1


async def test_a_device_with_too_many_gaps_is_refused(gateway: Gateway) -> None:
    for first in (2, 1002, 2002):
        numbers = b",".join(b'{"epoch": "e", "number": %d}' % n for n in range(first, first + 1000, 2))
        if first < 2000:
            await push(gateway, b'{"shots": [%s]}' % numbers)
        else:
            with pytest.raises(Problem) as refused:
                await push(gateway, b'{"shots": [%s]}' % numbers)
            assert refused.value.kind.status == 422
    assert len(await gateway.shots()) == 1000
