"""What a report's process may run into: the real one, with another making in the place of its own."""

import os
import sys
import time
from datetime import UTC, datetime
from typing import NoReturn

from handlers.stats.reports import child, making
from handlers.stats.reports.limits import MEMORY_BYTES
from handlers.stats.reports.order import Task, Unmakeable, Word

HEAVY_S = 8.0


async def make(task: Task, tell: making.Tell) -> bytes:
    tell(Word(stage="drawing", percent=40))
    match task.order.discipline:
        case "hungry":
            return bytes(MEMORY_BYTES + 1)
        case "slow":
            time.sleep(60)  # noqa: ASYNC251 - it hangs, as a loop without an end would
        case "deadly":
            os.abort()
        case "wrong":
            raise RuntimeError("a fault")
        case "away":
            raise ConnectionRefusedError
        case "endless":
            return bytes(40 * 1024 * 1024)
        case "refused":
            raise Unmakeable("There is nothing to be told.")
        case "heavy":
            until = time.monotonic() + HEAVY_S
            ballast = bytearray(200 * 1024 * 1024)
            while time.monotonic() < until:
                ballast[:1_000_000] = sorted(ballast[:1_000_000])
        case _:
            pass
    return f"made at {datetime.now(UTC)} for {task.order.report} under niceness {os.nice(0)}".encode()


def main() -> NoReturn:
    making.make = make
    sys.exit(child.main())


if __name__ == "__main__":
    main()
