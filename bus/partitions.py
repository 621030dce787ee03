"""Sets of partitions: the streams of the log are spread over 64, and bit n of a bigint stands for partition n."""

from __future__ import annotations

from typing import Final

PARTITIONS: Final = 64
ALL: Final = -1
NONE: Final = 0


def holds(partitions: int, partition: int) -> bool:
    return partitions >> partition & 1 == 1


def how_many(partitions: int) -> int:
    return (partitions & (1 << PARTITIONS) - 1).bit_count()


def each(partitions: int) -> list[int]:
    """The numbers of the partitions in a set, in order."""
    return [number for number in range(PARTITIONS) if holds(partitions, number)]


def only(partition: int) -> int:
    """The set of one, as the signed number that a bigint holds."""
    return 1 << partition if partition < PARTITIONS - 1 else -(1 << partition)
