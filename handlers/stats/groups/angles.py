"""Lengths on the target as angles at the firing point."""

from __future__ import annotations

from math import atan, degrees

MOA_PER_DEGREE = 60


def moa(length: float, distance: float) -> float:
    """The angle in minutes of arc under which `length` is seen at `distance`: 2 atan(length / 2 distance).

    Both in one unit of length; `distance` is positive. A negative length (left, below) gives a negative angle.
    """
    return degrees(2 * atan(length / (2 * distance))) * MOA_PER_DEGREE


def mrad(length: float, distance: float) -> float:
    """The same angle in milliradians."""
    return 2000 * atan(length / (2 * distance))
