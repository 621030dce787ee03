"""What one report may take."""

from typing import Final

MEMORY_BYTES: Final = 3 * 1024**3  # of address space, most of which libraries reserve and never touch
CPU_S: Final = 60
WITHIN_S: Final = 120
NICENESS: Final = 10  # results that people wait for at the lane come first
MOST_SHOTS: Final = 200_000
MOST_SESSIONS: Final = 20_000
TRIES: Final = 3  # of a report whose process ended together with the worker
TOGETHER: Final = 2  # a card does not wait for a season

# How the process says that it ended, besides 0 for a report.
REFUSED: Final = 3
OUT_OF_MEMORY: Final = 4
AWAY: Final = 5
