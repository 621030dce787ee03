"""What must be true of a consumer's progress rows, given the log: every position was seen exactly once."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bus.desk import DIGEST_FACTOR, DIGEST_MASK
from bus.fronts import where
from bus.partitions import ALL, NONE, PARTITIONS, holds


@dataclass(frozen=True, slots=True)
class Row:
    """A row of bus.progress: what one transaction of a consumer covered."""

    partitions: int
    from_position: int
    to_position: int
    count: int
    digest: int
    fence: int


class Reading:
    """Goes through one consumer's rows beside the messages that it hears, both in order, part by part.

    Holds no more than what lies between a partition's last row and the end of the part.
    """

    def __init__(self, consumer: str, since: int = 0, begins: Sequence[int] = (0,) * PARTITIONS) -> None:
        """Take where the log begins, and where in each partition the first row ends that touches what lies before."""
        self.consumer = consumer
        self._since = since  # what lies before was dropped from the log
        self.rows = 0
        self.messages = 0
        self._begins = begins
        self.begins_at = min(begins)
        self._standing = {  # the cursor and the fence of each set of partitions that moved together
            front.partitions: (front.cursor, 0) for front in where(begins, ALL)
        }
        self._unseen: defaultdict[int, deque[int]] = defaultdict(deque)  # messages after the cursor, by partition

    @property
    def cursor(self) -> int:
        """The position that it has passed in all its partitions."""
        return min(cursor for cursor, _ in self._standing.values())

    def go_on(self, rows: Iterable[Row], messages: Iterable[tuple[int, int]]) -> Iterator[str]:
        """The next rows, by where they end, and the next messages, each a position and its partition.

        Yields a sentence for each fault.
        """
        for position, partition in messages:
            if position > self._begins[partition]:
                self._unseen[partition].append(position)
        for row in rows:
            if row.from_position < self._since:
                continue
            yield from (
                f"{self.consumer}'s progress ({row.from_position}, {row.to_position}] {fault}"
                for fault in dict.fromkeys(self._faults(row))
            )
            self.rows += 1

    def _faults(self, row: Row) -> Iterator[str]:
        upto, latest = row.to_position, row.fence
        for partitions, (cursor, fence) in list(self._standing.items()):
            if partitions & row.partitions == NONE:
                continue
            if row.from_position > cursor:
                yield f"begins after {cursor}, where the one before ends: the positions between were skipped"
            if row.from_position < cursor:
                yield f"begins before {cursor}, where the one before ends: the positions between were seen twice"
            if row.fence < fence:
                yield f"was written under fence {row.fence}, after fence {fence} had been given out"
            upto, latest = max(upto, cursor), max(latest, fence)
            del self._standing[partitions]
            if left := partitions & ~row.partitions:
                self._standing[left] = cursor, fence
        self._standing[row.partitions] = upto, latest
        count, digest = self._take(row)
        if row.count != count:
            yield f"tells of {row.count} messages, the log has {count} for it there"
        elif row.digest != digest:
            yield "tells of other messages than those that the log has for it there"

    def _take(self, row: Row) -> tuple[int, int]:
        """How many messages of the row's partitions there are up to its end, and the digest of their positions."""
        count = digest = 0
        for partition, unseen in list(self._unseen.items()):
            if not holds(row.partitions, partition):
                continue
            while unseen and unseen[0] <= row.to_position:
                digest ^= unseen.popleft() * DIGEST_FACTOR & DIGEST_MASK
                count += 1
            if not unseen:
                del self._unseen[partition]
        self.messages += count
        return count, digest
