"""Tracking as a process of its own, to be killed: `python -m tests.gateway.tracking.run_tracking <plan>`.

Each line of its input is what a device posts; for each it says a line with the post's answer, once it has one.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import structlog
from pydantic import BaseModel

from bus.connection import Connection, close_pool, connect_pool
from bus.identity import uuid7
from gateway.problems import Problem
from gateway.tracking.journal import Journal
from gateway.tracking.tracking import Tracking
from tests.gateway.tracking.conftest import Lane, Producer

LONGEST_LINE = 1024 * 1024


class Plan(BaseModel):
    """Where it works, and which lane's target it follows."""

    dsn: str
    home: Path
    producer: int
    target_address: str


async def work(plan: Plan) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    pool = await connect_pool(plan.dsn, "tracking", most=4)

    async def lanes(_: Connection) -> Sequence[Lane]:
        return [Lane("lane-1", "air-pistol-10m", plan.target_address)]

    journal = Journal(plan.home / "frames", plan.home / "journal.key", segment_bytes=20_000, segments=1000)
    tracking = Tracking(
        dsn=plan.dsn, pool=pool, boot=uuid7(), producer=Producer(plan.producer), ring=lambda: None, targets=lanes,
        journal=journal, mappings=plan.home / "mappings",
    )  # fmt: skip

    async def post(line: bytes) -> None:
        try:
            told = await tracking.push(line, "poster", "lane-2")
        except Problem as problem:
            answer = f"refused: {problem.kind.title}"
        else:
            answer = told.model_dump_json()
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()

    async def listen() -> None:
        while line := await reader.readline():
            await post(line)
        os.kill(os.getpid(), signal.SIGTERM)

    listening = asyncio.create_task(listen())
    await tracking.run(stopping)
    listening.cancel()
    await close_pool(pool)


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with patch("gateway.tracking.recorder.ANSWER_WITHIN_S", 0.2), patch("gateway.tracking.tracking.LOOK_EVERY_S", 0.1):
        asyncio.run(work(Plan.model_validate_json(sys.argv[1])))


if __name__ == "__main__":
    main()
