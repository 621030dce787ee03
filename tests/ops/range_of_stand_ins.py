"""Runs `firingline up` with stand-ins for the gateway and two services.

    python -m tests.ops.range_of_stand_ins up

BOOKING, an environment variable, holds further arguments for the stand-in of booking.
"""

import os
import shlex
import sys

import ops.up
from ops.child import Program
from ops.cli import main
from ops.settings import Settings

STAND_IN = (sys.executable, "-m", "tests.ops.stand_in")


def programs() -> list[Program]:
    settings = Settings.from_environment(os.environ)
    return [
        Program("gateway", (*STAND_IN, "gateway", "--port", str(settings.port))),
        Program("auth", (*STAND_IN, "auth")),
        Program("booking", (*STAND_IN, "booking", *shlex.split(os.environ.get("BOOKING", "")))),
    ]


if __name__ == "__main__":
    ops.up.programs = programs
    main()
