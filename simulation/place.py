"""The range as those who come to it know it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from simulation.lanes import Lane
from simulation.slots import Wish
from simulation.staff import Staff


@dataclass
class Meeting:
    """Two who will ask for the same time at the same moment."""

    both: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))
    wish: Wish | None = None


@dataclass
class Place:
    """Its staff, its lanes, its hours, and how many shots one fires there."""

    crew: Staff
    lanes: Mapping[str, Lane]
    opens: datetime
    closes: datetime
    shots: int
    meetings: dict[frozenset[int], Meeting] = field(default_factory=dict)
