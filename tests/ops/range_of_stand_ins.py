"""Runs `firingline up` with stand-ins for the gateway, two services and the demo range.

    python -m tests.ops.range_of_stand_ins up

Environment variables GATEWAY and BOOKING hold further arguments for the stand-ins of that name.
"""

import json
import os
import shlex
import sys

import ops.demo
import ops.up
from ops.child import Program
from ops.cli import main
from ops.settings import Settings

STAND_IN = (sys.executable, "-m", "tests.ops.stand_in")


def programs(settings: Settings) -> list[Program]:
    return [
        Program("gateway", (*STAND_IN, "gateway", "--port", str(settings.port), *further("GATEWAY"))),
        Program("auth", (*STAND_IN, "auth")),
        Program("booking", (*STAND_IN, "booking", *further("BOOKING"))),
    ]


def further(variable: str) -> list[str]:
    return shlex.split(os.environ.get(variable, ""))


async def load_demo_range(address: str, settings: Settings) -> None:
    account = {"role": "shooter", "login": "shooter@range", "password": f"for {address}"}
    (settings.home / "demo_accounts.json").write_text(json.dumps([account]))


if __name__ == "__main__":
    ops.up.programs = programs
    ops.demo.load_demo_range = load_demo_range
    main()
