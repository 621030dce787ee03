"""How much memory a worker takes, and whether it takes more the longer it works."""

from __future__ import annotations

from typing import Final

from bench.child import child
from bench.consume import load_shots
from bench.figures import Measured, Size, Tell
from bench.ground import database
from ops.settings import Settings

PASSES: Final = 4


async def memory(server: Settings, size: Size, tell: Tell) -> Measured:
    """The most that one process had after each of four passes over the log, beside what it had after the first."""
    ours, baseline = [], []
    tell("making a database", 0, 1)
    async with database(server, "memory") as log:
        await load_shots(log, size.events, tell)
        for number in range(size.rounds):
            seen_mib = []
            async with child("bench.remembering", log) as process:
                for one in range(PASSES):
                    done = number * PASSES + one
                    tell(f"round {number + 1} of {size.rounds}", done, size.rounds * PASSES)
                    process.ask(side="worker", round=done, events=size.events)
                    seen_mib.append(float((await process.answer())["rss_mib"]))
            ours.append(max(seen_mib))
            baseline.append(seen_mib[0])
    return Measured(ours, baseline, {"events": PASSES * size.events})
