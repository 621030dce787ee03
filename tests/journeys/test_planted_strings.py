"""What must not be found: planted names and secrets in dumps, WAL, projections, logs, frames and arguments."""

import asyncio
import json
import secrets
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import asyncpg
import psutil

from ops.credentials import NAMES as CREDENTIALS
from ops.credentials import load
from ops.postgres import Cluster
from ops.unprivileged import INSTALLED, PROGRAMS
from tests.journeys.processes import Processes
from tests.journeys.story import story

ENOUGH_FOR_A_LOG_LINE_S = 0.5


def forms(planted: str) -> Iterator[bytes]:
    """How a text might stand somewhere."""
    for text in {planted, planted.casefold()}:
        raw = text.encode()
        yield from (raw, raw.hex().encode(), b64encode(raw).rstrip(b"="), urlsafe_b64encode(raw).rstrip(b"="))


def found(planted: dict[str, str], places: dict[str, bytes]) -> list[tuple[str, str]]:
    return [
        (what, place)
        for what, text in planted.items()
        for place, content in places.items()
        if any(form in content for form in forms(text))
    ]


def files(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob(pattern) if file.is_file()}


async def test_planted_strings_are_found_nowhere(processes: Processes, cluster: Cluster, tmp_path: Path):
    mark = secrets.token_hex(6)
    planted = {
        "login": f"planted-login-{mark}@example.org",
        "display name": f"Planted Name {mark}",
        "password": f"planted password {mark}",
        "licence number": f"PLANTED-{mark}",
        "authority": f"Planted Office {mark}",
        "the frame's athlete": f"planted-athlete-{mark}",
    }
    async with story(processes) as told:
        await told.open_the_range(target_port=None)
        stranger, instructor = told.app("stranger"), told.app("instructor")
        names = {"login": planted["login"], "password": planted["password"]}
        person = (await stranger.post("/v1/people", {**names, "display_name": planted["display name"]}))["person"]
        licence = {
            "category": "pneumatic",
            "number": planted["licence number"],
            "authority": planted["authority"],
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2099-01-01T00:00:00Z",
        }
        recorded = await instructor.post(f"/v1/people/{person}/licences", licence)
        await instructor.command("POST", f"/v1/people/{person}/licences/{recorded['licence']}/confirm")
        tokens = await stranger.post("/v1/sessions", names)
        device = await told.app("armourer").post("/v1/devices", {"device": "lane-1", "lane": "lane-1"})
        admitted = await stranger.post("/v1/devices/token", {"device": "lane-1", "secret": device["secret"]})
        async with aiohttp.ClientSession() as http:
            frame = {"shot": 1, "miss": 0, "name": planted["the frame's athlete"], "time": 1.0, "x": 1.0, "y": 1.0}
            headers = {"Authorization": f"Bearer {admitted['access_token']}", "Content-Type": "application/json"}
            address = f"{processes.address}/v1/devices/lane-1/shots"
            async with http.post(address, data=json.dumps(frame), headers=headers) as response:
                assert response.status == 200, await response.text()
            wrong = {"Authorization": "Bearer " + tokens["access_token"][:-4] + "AAAA"}
            async with http.get(f"{processes.address}/v1/me", headers=wrong) as response:
                assert response.status == 401
        await stranger.post("/v1/sessions/refresh", {"refresh_token": tokens["refresh_token"]})
        await asyncio.sleep(ENOUGH_FOR_A_LOG_LINE_S)
        home = processes.settings.home
        secret = {
            "access token": tokens["access_token"][:-4],  # so much of it came with the forged one, too
            "refresh token": tokens["refresh_token"],
            "device's secret": device["secret"],
            "device's token": admitted["access_token"],
            **{f"database password of {name}": load(home, name).password for name in CREDENTIALS},
            **{f"secret of {name}": load(home, name).secret for name in CREDENTIALS},
        }
        arguments = {
            f"arguments of {process.pid}": " ".join(process.cmdline()).encode()
            for process in psutil.Process().children(recursive=True)
        }
        said = {
            **files(tmp_path, "*.log"),
            "the server's log": cluster.log.read_bytes(),
        }
    assert len([place for place in said if place.endswith(".log")]) == 6
    assert found({"what is said": "producer.registered"}, said), "the scan finds what is there"
    connection = await asyncpg.connect(processes.settings.admin_url)
    await connection.execute("CHECKPOINT")
    await connection.close()
    dump = subprocess.run(  # noqa: ASYNC221 - nothing else is going on
        [INSTALLED / PROGRAMS / "pg_dump", "--inserts", processes.settings.admin_url], check=True, capture_output=True
    ).stdout
    wal = files(cluster.data / "pg_wal")
    frames = files(home / "tracking")
    assert frames, "the frame was kept"
    assert found({"the person": person}, {"dump": dump}), "the scan finds what is there"
    assert any(bytes.fromhex(person.replace("-", "")) in content for content in wal.values())
    kept = {"dump": dump, **wal, **frames}
    assert found({**planted, **secret}, {**kept, **said, **arguments}) == []
