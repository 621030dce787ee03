"""The process that makes one report: bounded in memory and time, and of no consequence to anybody if it dies.

It is given a Task on its standard input, says Words on its standard error, and writes the file to its standard output.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from typing import Final

from handlers.stats.reports.limits import (
    AWAY,
    CPU_S,
    MEMORY_BYTES,
    NICENESS,
    OUT_OF_MEMORY,
    REFUSED,
    WITHIN_S,
)

TOO_MUCH: Final = "There is so much in that time that the database took too long: order a shorter one."


def bound_oneself() -> None:
    """From here on the system ends this process where it takes more than its share, whatever it is doing."""
    os.nice(NICENESS)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(WITHIN_S)
    _limit(resource.RLIMIT_CPU, CPU_S)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def main() -> int:
    bound_oneself()
    from asyncpg import QueryCanceledError  # noqa: PLC0415 - what it imports counts within the bounds

    from bus.connection import is_away  # noqa: PLC0415
    from handlers.stats.reports.making import make  # noqa: PLC0415
    from handlers.stats.reports.order import Task, Unmakeable, Word  # noqa: PLC0415

    def tell(word: Word) -> None:
        sys.stderr.write(f"{word.model_dump_json()}\n")
        sys.stderr.flush()

    try:
        content = asyncio.run(make(Task.model_validate_json(sys.stdin.buffer.read()), tell))
    except Unmakeable as reason:
        tell(Word(stage="refused", reason=str(reason)))
        return REFUSED
    except QueryCanceledError:
        tell(Word(stage="refused", reason=TOO_MUCH))
        return REFUSED
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        if not is_away(error):
            raise
        return AWAY
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
