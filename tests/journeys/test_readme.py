"""The README's journey, pasted line by line, does what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.api import Api
from ops.demo import LANES, load_demo_range
from tests.journeys.processes import Processes

ROOT = Path(__file__).parent.parent.parent
PORT = "--port 1090"
CUT = '{"date"'  # the slots of a day, of which the README shows the beginning


@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the journey is pasted with curl, which is not here")
async def test_what_the_readme_says_can_be_pasted(processes: Processes):
    await load_demo_range(processes.address, processes.settings)
    host = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # where nobody else's targets are
    await move_targets(processes, host)
    script = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    assert PORT in script
    pasted = paste(script.replace(PORT, f"--host {host} {PORT}"), processes)
    assert pasted.returncode == 0, pasted.stderr
    said = [
        json.loads(line) for line in pasted.stdout.splitlines() if line.startswith('{"') and not line.startswith(CUT)
    ]
    assert [one["status"] for one in said if "command" in one and "links" in one] == ["done"] * 8
    [result] = [one for one in said if one.get("state") == "scored"]
    assert result["group"]["shots"] > 30
    assert "event: stats.interim-scored" in pasted.stdout
    replayed = {one["name"] for one in said if "position" in one and "name" in one}
    assert {"booking.book-session", "stats.session-scored"} <= replayed
    told = await shots(processes)
    assert [(one["lane"], one["number"]) for one in told] == [("lane-1", number) for number in range(1, 46)], told
    assert "stats.shot: 45 rows, the same" in pasted.stdout
    assert "DIFFERENT" not in pasted.stdout


async def shots(processes: Processes) -> list[dict[str, Any]]:
    """What the log holds of shots, in its order."""
    connection = await processes.database.connect("postgres")
    rows = await connection.fetch("SELECT body FROM bus.outbox WHERE topic = 'telemetry' ORDER BY position")
    await connection.close()
    return [json.loads(row["body"]) for row in rows]


def paste(script: str, processes: Processes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-u"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            **processes.environment,
            "API": processes.address,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )


async def move_targets(processes: Processes, host: str) -> None:
    accounts = json.loads((processes.settings.home / "demo_accounts.json").read_text())
    async with Api(processes.address) as admin:
        await admin.log_in(accounts[0]["login"], accounts[0]["password"])
        for port, lane in ((1090, "lane-1"), (1091, "lane-2")):
            moved = {**LANES[lane], "target_address": f"freetarget://{host}:{port}"}
            about = {"range": "demo", "distance_m": 10, "weapon_classes": ["air"], **moved}
            await admin.command("PUT", f"/v1/lanes/{lane}", about)
