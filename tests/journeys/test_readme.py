"""The README's journey, pasted line by line, does what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.api import Api
from ops.demo import LANES, load_demo_range
from tests.journeys.processes import Processes, free_port

ROOT = Path(__file__).parent.parent.parent
PORT = "--port 1090"
CUT = '{"date"'  # the slots of a day, of which the README shows the beginning


@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the journey is pasted with curl, which is not here")
async def test_what_the_readme_says_can_be_pasted(processes: Processes):
    await load_demo_range(processes.address, processes.settings)
    port = free_port()
    await move_lane_1(processes, port)
    script = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    assert PORT in script
    pasted = paste(script.replace(PORT, f"--port {port}"), processes)
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
    assert "stats.shot: 45 rows, the same" in pasted.stdout
    assert "DIFFERENT" not in pasted.stdout


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


async def move_lane_1(processes: Processes, port: int) -> None:
    accounts = json.loads((processes.settings.home / "demo_accounts.json").read_text())
    async with Api(processes.address) as admin:
        await admin.log_in(accounts[0]["login"], accounts[0]["password"])
        lane = {**LANES["lane-1"], "target_address": f"freetarget://127.0.0.1:{port}"}
        about = {"range": "demo", "distance_m": 10, "weapon_classes": ["air"], **lane}
        await admin.command("PUT", "/v1/lanes/lane-1", about)
