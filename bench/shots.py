"""How many shots a second come from devices' posts into the log, beside a COPY of the same rows."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.child import Child, child
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database
from ops.settings import Settings

DEVICES: Final = 8
TOGETHER: Final = 500
PLAIN_LOG: Final = """
    CREATE SCHEMA plain;
    CREATE SEQUENCE plain.position AS bigint;
    CREATE TABLE plain.log (LIKE bus.outbox INCLUDING DEFAULTS);
    ALTER TABLE plain.log ALTER COLUMN position SET DEFAULT nextval('plain.position'), ADD PRIMARY KEY (position);
    CREATE INDEX ON plain.log (stream, position);
    CREATE INDEX ON plain.log (correlation, position);
    GRANT USAGE ON SCHEMA plain TO PUBLIC;
    GRANT USAGE ON SEQUENCE plain.position TO PUBLIC;
    GRANT SELECT, INSERT ON plain.log TO PUBLIC;
"""


async def shots(server: Settings, size: Size, tell: Tell) -> Measured:
    """Batches of shots in our own form through tracking, journal and all, beside COPY into a plain log."""
    tell("making a database", 0, 1)
    async with database(server, "shots") as log:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
        async with child("bench.pushing", log) as process:
            ours, baseline = await in_turns(
                size.rounds,
                partial(_rate, process, "push", size.seconds),
                partial(_rate, process, "copy", size.seconds),
                tell,
            )
    return Measured(ours, baseline, {"devices": DEVICES, "batch": TOGETHER, "seconds": size.seconds})


async def _rate(process: Child, side: str, seconds: float, number: int) -> float:
    process.ask(side=side, seconds=seconds, round=number, devices=DEVICES, batch=TOGETHER)
    answer = await process.answer()
    return float(answer["shots"]) / float(answer["seconds"])
