from hashlib import sha256

import asyncpg
import pytest

from gateway.problems import Problem
from gateway.tracking.journal import read
from gateway.tracking.push import PushResult
from tests.gateway.tracking.conftest import Gateway

FRAME = (
    b'{"shot":1, "session_type":5, "time":1234, "time_to_go":0, "x":-0.39, "y":-2.77, "r":  2.80, "a":-98.01, '
    b'"target":110 , "athelete":"A. Shooter", "event":"", "target_name":"Rifle"}'
)
OURS = b'{"shots": [{"epoch": "boot-1", "number": 1, "x_um": -390, "y_um": -2770, "elapsed_ms": 1234}]}'


async def test_a_real_targets_own_post_is_recorded(gateway: Gateway) -> None:
    told = await gateway.tracking().push(FRAME, "target-7", "lane-1")
    (shot,) = await gateway.shots()
    assert told == PushResult(recorded=1, repeated=0, ignored=0)
    assert (shot.device, shot.lane, shot.x_um, shot.y_um) == ("target-7", "lane-1", -390, -2770)
    assert shot.face == "air-rifle-10m"
    assert shot.raw_sha256 == sha256(FRAME).hexdigest()
    (kept,) = read(gateway.home / "frames", gateway.home / "journal.key")
    assert (kept.raw, kept.way) == (FRAME, "http")
    assert "Shooter" not in shot.model_dump_json()


async def test_who_posted_is_told_with_the_shot(gateway: Gateway) -> None:
    await gateway.tracking().push(FRAME, "target-7", "lane-1")
    assert await gateway.pool.fetchval("SELECT actor FROM bus.outbox") == "device:target-7"


@pytest.mark.parametrize("bodies", [(FRAME, OURS), (OURS, FRAME), (OURS, OURS), (FRAME, FRAME)])
async def test_the_same_shot_posted_twice_counts_once_in_either_form(
    gateway: Gateway, bodies: tuple[bytes, bytes]
) -> None:
    tracking = gateway.tracking()
    await tracking.push(bodies[0], "target-7", "lane-1")
    assert await tracking.push(bodies[1], "target-7", "lane-1") == PushResult(recorded=0, repeated=1, ignored=0)
    assert len(await gateway.shots()) == 1


async def test_shots_in_our_form_go_together_under_their_bodys_hash(gateway: Gateway) -> None:
    body = b'{"shots": [%s]}' % b",".join(b'{"epoch": "e", "number": %d, "miss": true}' % n for n in range(1, 501))
    told = await gateway.tracking().push(body, "target-7", "lane-1")
    shots = await gateway.shots()
    assert told.recorded == 500
    assert {shot.raw_sha256 for shot in shots} == {sha256(body).hexdigest()}
    assert {(shot.miss, shot.x_um, shot.kind) for shot in shots} == {(True, 0, "match")}


async def test_the_prime_frame_is_taken_and_means_nothing(gateway: Gateway) -> None:
    told = await gateway.tracking().push(b'{"shot":0, "x":0, "y":0, "r":0, "a":0,"target":100}', "t", "lane-1")
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
        await gateway.tracking().push(body, "target-7", "lane-1")
    assert refused.value.kind.status == status
    assert await gateway.shots() == []
    assert await gateway.pool.fetchval("SELECT count(*) FROM tracking.fingerprint") == 0


async def test_a_frame_that_is_refused_is_kept_as_it_came(gateway: Gateway) -> None:
    with pytest.raises(Problem):
        await gateway.tracking().push(b'{"shot": 1, "x": "a", "y": 1}', "target-7", "lane-1")
    (kept,) = read(gateway.home / "frames", gateway.home / "journal.key")
    assert (kept.raw, kept.verdict) == (b'{"shot": 1, "x": "a", "y": 1}', "wrong: x is no number")


async def test_a_post_while_the_log_does_not_take_it_is_not_answered_as_taken(gateway: Gateway) -> None:
    gateway.producer.id, registered = 0, gateway.producer.id
    with pytest.raises(asyncpg.PostgresError):
        await gateway.tracking().push(FRAME, "target-7", "lane-1")
    assert await gateway.pool.fetchval("SELECT count(*) FROM tracking.fingerprint") == 0
    gateway.producer.id = registered
    assert (await gateway.tracking().push(FRAME, "target-7", "lane-1")).recorded == 1


async def test_a_device_with_too_many_gaps_is_refused(gateway: Gateway) -> None:
    tracking = gateway.tracking()
    for first in (2, 1002, 2002):
        body = b",".join(b'{"epoch": "e", "number": %d}' % n for n in range(first, first + 1000, 2))
        if first < 2000:
            await tracking.push(b'{"shots": [%s]}' % body, "target-7", "lane-1")
        else:
            with pytest.raises(Problem) as refused:
                await tracking.push(b'{"shots": [%s]}' % body, "target-7", "lane-1")
            assert refused.value.kind.status == 422
    assert len(await gateway.shots()) == 1000
