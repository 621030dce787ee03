"""How far a worker has come: its partitions, in groups that were read equally far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bus.partitions import NONE, each, only


@dataclass(slots=True)
class Front:
    """Partitions that are read together."""

    partitions: int
    cursor: int
    written: int  # the cursor as it stands in bus.progress
    suspects: int = 0  # how many messages may still come of which a worker before this one died
    suspect_upto: int = 0  # and that lie no further than here

    @property
    def clear(self) -> bool:
        """Whether nothing is suspected, or no longer."""
        return self.suspects <= 0 or self.cursor >= self.suspect_upto


def where(cursors: Sequence[int], partitions: int) -> list[Front]:
    """The fronts of some partitions, given the cursors of all 64."""
    found: defaultdict[int, int] = defaultdict(int)
    for number in each(partitions):
        found[cursors[number]] |= only(number)
    return [Front(mask, cursor, cursor) for cursor, mask in sorted(found.items())]


def without(fronts: Sequence[Front], partitions: int) -> list[Front]:
    """What is left of fronts when some partitions are given away."""
    for front in fronts:
        front.partitions &= ~partitions
    return [front for front in fronts if front.partitions != NONE]
