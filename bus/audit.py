"""What must be true of a consumer's progress rows, given the log: every position was seen exactly once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bus.desk import DIGEST_FACTOR, DIGEST_MASK


@dataclass(frozen=True, slots=True)
class Row:
    """A row of bus.progress: what one transaction of a consumer covered."""

    from_position: int
    to_position: int
    count: int
    digest: int
    fence: int


class Reading:
    """Goes through one consumer's rows beside the messages that it hears, both in order, part by part.

    Holds no more than what lies between the last row and the end of the part.
    """

    def __init__(self, consumer: str, begins_at: int = 0) -> None:
        self.consumer = consumer
        self.begins_at = begins_at  # what lies before was dropped from the log
        self.cursor = begins_at
        self.rows = 0
        self.messages = 0
        self._fence = 0
        self._unseen: deque[int] = deque()  # messages after the cursor

    def go_on(self, rows: Iterable[Row], positions: Iterable[int]) -> Iterator[str]:
        """The next rows, by where they end, and the next messages' positions; yields a sentence for each fault."""
        self._unseen.extend(positions)
        for row in rows:
            yield from (
                f"{self.consumer}'s progress ({row.from_position}, {row.to_position}] {fault}"
                for fault in self._faults(row)
            )
            self.rows += 1
            self.cursor = max(self.cursor, row.to_position)
            self._fence = max(self._fence, row.fence)

    def _faults(self, row: Row) -> Iterator[str]:
        if row.from_position > self.cursor:
            yield f"begins after {self.cursor}, where the one before ends: the positions between were skipped"
        if row.from_position < self.cursor:
            yield f"begins before {self.cursor}, where the one before ends: the positions between were seen twice"
        if row.fence < self._fence:
            yield f"was written under fence {row.fence}, after fence {self._fence} had been given out"
        count, digest = self._take(row.to_position)
        if row.count != count:
            yield f"tells of {row.count} messages, the log has {count} for it there"
        elif row.digest != digest:
            yield "tells of other messages than those that the log has for it there"

    def _take(self, to_position: int) -> tuple[int, int]:
        """How many messages there are up to a position, and the digest of their positions."""
        count = digest = 0
        while self._unseen and self._unseen[0] <= to_position:
            digest ^= self._unseen.popleft() * DIGEST_FACTOR & DIGEST_MASK
            count += 1
        self.messages += count
        return count, digest
