"""The process of `firingline bench memory`: a consumer in a process that has imported all that a worker's has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import psutil

import ops.worker
from bench.child import Answer, serve
from bench.consuming import consuming
from ops.settings import Settings

LIKE: Final = ops.worker.__name__  # what is imported weighs as much as in service
MIB: Final = 2**20


async def remembering(settings: Settings, asked: Answer, say: Callable[[Answer], None]) -> None:
    """Goes through the log, and says how much memory the process has then."""
    answers: list[Answer] = []
    await consuming(settings, asked, answers.append)
    say({"rss_mib": psutil.Process().memory_info().rss / MIB, **answers[-1]})


if __name__ == "__main__":
    serve("bench-remembering", remembering)
