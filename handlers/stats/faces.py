"""Target faces as data: their rings and the gauge that a hole is measured with, in micrometres.

Diameters are those of the ISSF rule book (General Technical Rules, targets and gauges) as they stand in the
freETarget, shotGroups and Megalink tables, which agree. A face is named like the discipline shot on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Face:
    """A ring target. All lengths are diameters in micrometres, except the inner ten's limit.

    `ring10_um` is the ten ring, `step_um` what each ring further out adds, `lowest` the last ring that counts,
    `gauge_um` the calibre or gauge that touches a line. `inner_ten_um` is the largest distance of a hole's centre
    from the target's centre that still is an inner ten. `distance_m` is how far away it is shot at.
    """

    ring10_um: int
    step_um: int
    lowest: int
    gauge_um: int
    inner_ten_um: int
    distance_m: int

    @property
    def ten_reach_um(self) -> float:
        """The largest distance of a hole's centre from the target's centre that still is a ten."""
        return (self.ring10_um + self.gauge_um) / 2


def _touching(inner_ring_um: int, gauge_um: int) -> int:
    """An inner ten where the hole need only touch the inner ring."""
    return (inner_ring_um + gauge_um) // 2


FACES: Final[dict[str, Face]] = {
    # The pellet must take away the whole dot, so the limit is smaller than half the pellet.
    "air-rifle-10m": Face(500, 5_000, 1, 4_500, (4_500 - 500) // 2, 10),
    "air-pistol-10m": Face(11_500, 16_000, 1, 4_500, _touching(5_000, 4_500), 10),
    # Here it need only touch it; the sources give the dot's size and no rule of its own.
    "running-target-10m": Face(5_500, 5_000, 1, 4_500, _touching(500, 4_500), 10),
    "pistol-25m": Face(50_000, 50_000, 1, 5_600, _touching(25_000, 5_600), 25),
    "centre-fire-pistol-25m": Face(50_000, 50_000, 1, 9_650, _touching(25_000, 9_650), 25),
    "rapid-fire-pistol-25m": Face(100_000, 80_000, 5, 5_600, _touching(50_000, 5_600), 25),
    "centre-fire-rapid-fire-pistol-25m": Face(100_000, 80_000, 5, 9_650, _touching(50_000, 9_650), 25),
    "pistol-50m": Face(50_000, 50_000, 1, 5_600, _touching(25_000, 5_600), 50),
    "rifle-50m": Face(10_400, 16_000, 1, 5_600, _touching(5_000, 5_600), 50),
    "rifle-100m": Face(50_000, 50_000, 1, 7_620, _touching(25_000, 7_620), 100),
    "rifle-300m": Face(100_000, 100_000, 1, 8_000, _touching(50_000, 8_000), 300),
}
"""The faces known here, by the name of the discipline."""
