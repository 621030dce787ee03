"""From registering to a scored session, over HTTP and a target's real socket; and again while parts are killed."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bus.tasks import running
from handlers.stats.faces import FACES
from handlers.stats.scoring import score
from handlers.wiring import SERVICES
from ops.api import ApiProblem
from simulation.shot_files import Shot, read_shots
from simulation.target import Manners, Target
from tests.journeys.client import Json
from tests.journeys.processes import NAMES, Processes
from tests.journeys.story import TOTAL_MINOR, Story, story

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "simulation/samples/air-pistol-10m.csv"
SCANNED = ROOT.parent / "shared/data/targetscan/ts_551.csv"
ROUGH = Manners(doubled_commas=True)
STORY_NAMES = {
    "booking.book-session",
    "booking.lane-held",
    "auth.licence-validated",
    "armory.weapon-reserved",
    "payment.invoice-issued",
    "booking.booking-confirmed",
    "payment.payment-taken",
    "payment.invoice-settled",
    "booking.shooter-checked-in",
    "armory.weapon-issued",
    "booking.session-started",
    "stats.interim-scored",
    "armory.weapon-returned",
    "booking.session-finished",
    "stats.session-scored",
}


def expected(shots: Sequence[Shot]) -> dict[str, int]:
    """What the session must come to, from the file itself."""
    hits = [shot for shot in shots if shot.kind == "match" and not shot.miss]
    x_um, y_um = (
        [int(1000 * value) for value in values] for values in zip(*((s.x_mm, s.y_mm) for s in hits), strict=True)
    )
    return {
        "shots": len(hits),
        "score_tenths": int(score(FACES["air-pistol-10m"], x_um, y_um).tenths.sum()),
        "sighters": sum(shot.kind == "sighter" for shot in shots),
        "misses": sum(shot.miss for shot in shots),
    }


def told_by(result: Json) -> dict[str, int]:
    group = result["group"] or {"shots": 0, "score_tenths": 0}
    return {
        "shots": group["shots"],
        "score_tenths": group["score_tenths"],
        "sighters": result["sighters"],
        "misses": result["misses"],
    }


@asynccontextmanager
async def live(told: Story, who: str) -> AsyncIterator[list[Json]]:
    """What the lane's stream tells meanwhile."""
    heard: list[Json] = []

    async def listen() -> None:
        headers = {"Authorization": f"Bearer {told.app(who).token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{told.processes.address}/v1/lanes/lane-1/live", headers=headers) as response,
        ):
            assert response.status == 200
            name = ""
            async for line in response.content:
                key, _, value = line.decode().rstrip().partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    heard.append({"event": name, **json.loads(value)})

    listening = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def push_the_same(told: Story, frames: Sequence[bytes]) -> Json:
    """The same shots once more, by HTTP with a device's token."""
    secret = await told.app("armourer").post("/v1/devices", {"device": "lane-1", "lane": "lane-1"})
    token = await told.app("stranger").post("/v1/devices/token", {"device": "lane-1", "secret": secret["secret"]})
    totals = {"recorded": 0, "repeated": 0, "ignored": 0}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token['access_token']}"}) as session:
        for frame in frames:
            address = f"{told.processes.address}/v1/devices/lane-1/shots"
            headers = {"Content-Type": "application/json"}
            async with session.post(address, data=frame, headers=headers) as response:
                answer = await response.json()
                assert response.status == 200, answer
                totals = {name: totals[name] + answer[name] for name in totals}
    return totals


def firingline(processes: Processes, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **processes.environment},
    )


async def walk(
    told: Story, target: Target, shots: Sequence[Shot], *, before_the_end: asyncio.Event | None = None
) -> None:
    """Steps 1 to 9; the last shots are fired after an event, if one is given."""
    await told.open_the_range(target_port=target.port)
    for who in ("shooter", "stranger"):
        await told.register(who)
    await told.license("shooter")
    slot = (await told.free_times("shooter"))[0]
    await told.book("shooter", slot)
    await told.pay()
    await told.begin("shooter")
    await target.has_client()
    for shot in shots[: len(shots) // 2]:
        target.fire(shot)
        await asyncio.sleep(0.05)
    if before_the_end is not None:
        await before_the_end.wait()
    for shot in shots[len(shots) // 2 :]:
        target.fire(shot)
    await told.result("shooter", lambda result: told_by(result) == expected(shots))
    await told.end(rounds_returned=0)


async def test_a_shooter_books_shoots_and_reads_what_it_came_to(processes: Processes):
    shots = read_shots(SAMPLE)
    async with Target(ROUGH) as target, story(processes) as told:
        await told.open_the_range(target_port=target.port)
        for who in ("shooter", "stranger"):
            await told.register(who)
        await told.license("shooter")
        answer = await told.book("shooter", (await told.free_times("shooter"))[0])
        assert answer["outcome"]["body"]["total_minor"] == TOTAL_MINOR
        await told.pay()
        invoice = await told.app("shooter").until(f"/v1/invoices/{told.booking}", lambda one: one["state"] == "settled")
        assert invoice["total_minor"] == TOTAL_MINOR
        balance = await told.app("cashier").get("/v1/trial-balance")
        assert balance["balanced"]
        assert all(total["debit_minor"] == total["credit_minor"] > 0 for total in balance["totals"]), balance
        await told.begin("shooter")

        frames = []
        async with live(told, "shooter") as heard:
            await target.has_client()
            for number, shot in enumerate(shots):
                frames.append(target.fire(shot))
                await asyncio.sleep(0.01)
                if number == len(shots) // 2:
                    target.hang_up()  # it repeats what it has stored at the next connection
            assert told_by(await told.result("shooter", lambda result: told_by(result) == expected(shots))) == expected(
                shots
            )
            async with asyncio.timeout(10):
                while not any(one["event"] == "stats.interim-scored" for one in heard):
                    await asyncio.sleep(0.05)
        pushed = await push_the_same(told, frames)
        assert (pushed["recorded"], pushed["repeated"]) == (0, len(shots)), (
            "no shot counts twice, whichever way it comes"
        )

        await told.end(rounds_returned=5)
        result = await told.result("shooter", lambda result: result["state"] == "scored")
        assert told_by(result) == expected(shots)
        now = datetime.now(UTC)
        period = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat()}
        listed = await told.app("shooter").get("/v1/results", **period)
        assert [one["session"] for one in listed["items"]] == [told.booking]
        progress = await told.app("shooter").get("/v1/progress", **period, discipline="air-pistol-10m")
        assert progress["sessions"], progress
        for path in (f"/v1/results/{told.booking}", f"/v1/bookings/{told.booking}", f"/v1/invoices/{told.booking}"):
            with pytest.raises(ApiProblem) as hidden:
                await told.app("stranger").get(path)
            assert hidden.value.status == 404, path
        assert (await told.app("stranger").get("/v1/results", **period))["items"] == []

        replayed = firingline(processes, "replay", "--correlation", told.booking)
        assert replayed.returncode == 0, replayed.stderr
        messages = [json.loads(line) for line in replayed.stdout.splitlines()]
        assert {one["name"] for one in messages} >= STORY_NAMES
        assert [one["position"] for one in messages] == sorted(one["position"] for one in messages)
        later = firingline(processes, "replay", "--from-position", str(messages[-1]["position"]))
        assert json.loads(later.stdout.splitlines()[0])["id"] == messages[-1]["id"]
        for service in SERVICES:
            verified = firingline(processes, "rebuild", service, "--verify")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            assert "DIFFERENT" not in verified.stdout


@pytest.mark.skipif(not SCANNED.exists(), reason="the scanned targets of others are not here")
async def test_scanned_targets_of_others_are_scored_as_well(processes: Processes):
    shots = read_shots(SCANNED)
    async with Target() as target, story(processes) as told:
        await walk(told, target, shots)
        result = await told.result("shooter", lambda result: result["state"] == "scored")
        assert told_by(result) == expected(shots)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "rounds", [[(name,) for name in NAMES], [NAMES[1:]] * 3], ids=["one after another", "all services at once"]
)
async def test_the_journey_ends_as_if_nothing_had_happened_when_parts_are_killed(
    processes: Processes, rounds: list[tuple[str, ...]]
):
    """Killed at random moments all along the way, each in its turn."""
    shots = read_shots(SAMPLE)
    chance = random.Random(len(rounds))
    chance.shuffle(rounds)
    all_killed = asyncio.Event()

    async def murder() -> None:
        for victims in rounds:
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            await processes.restart(*victims)
            await processes.until_ready()
        all_killed.set()

    async with Target() as target, story(processes) as told, running(murder()):
        await walk(told, target, shots, before_the_end=all_killed)
        result = await told.result("shooter", lambda result: result["state"] == "scored")
        assert told_by(result) == expected(shots)
        await every_effect_is_there_once(processes)


async def every_effect_is_there_once(processes: Processes) -> None:
    connection = await processes.database.connect("postgres")
    names = "booking.booking-confirmed", "armory.weapon-issued", "payment.payment-taken", "booking.session-finished"
    try:
        for name in names:
            count = await connection.fetchval("SELECT count(*) FROM bus.outbox WHERE name = $1", name)
            assert count == 1, name
        unanswered = await connection.fetch(
            "SELECT id, name FROM bus.accepted WHERE id NOT IN (SELECT command FROM bus.outcome)"
        )
        assert unanswered == []
        assert await connection.fetchval("SELECT sum(amount_minor) FROM payment.leg") == 0
        assert await connection.fetchval("SELECT count(*) FROM bus.dead_letter") == 0
    finally:
        await connection.close()
    for service in SERVICES:
        verified = firingline(processes, "rebuild", service, "--verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
