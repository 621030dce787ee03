"""The smallest circle around some points."""

from __future__ import annotations

from math import hypot
from typing import Final, NamedTuple

from handlers.stats.groups.shots import Numbers

Place = tuple[float, float]
_ROUNDING: Final = 1 + 1e-10
_FLAT: Final = 1e-12


class Circle(NamedTuple):
    """Where its centre is, and its radius, in the unit of the points."""

    x: float
    y: float
    radius: float

    def holds(self, place: Place) -> bool:
        return hypot(place[0] - self.x, place[1] - self.y) <= self.radius * _ROUNDING


def smallest_circle(places: Numbers) -> Circle:
    """The smallest circle around places of shape (m, 2), m > 0: Welzl's algorithm, point by point.

    Meant for the few corners of a hull. Welzl, "Smallest enclosing disks", LNCS 555 (1991).
    """
    points = [(x, y) for x, y in places.tolist()]
    circle = Circle(*points[0], 0.0)
    for i, place in enumerate(points):
        if not circle.holds(place):
            circle = _through_one(points[:i], place)
    return circle


def _through_one(points: list[Place], on: Place) -> Circle:
    circle = Circle(*on, 0.0)
    for i, place in enumerate(points):
        if not circle.holds(place):
            circle = _through_two(points[:i], on, place)
    return circle


def _through_two(points: list[Place], a: Place, b: Place) -> Circle:
    circle = _around_two(a, b)
    for place in points:
        if not circle.holds(place):
            circle = _through_three(a, b, place)
    return circle


def _around_two(a: Place, b: Place) -> Circle:
    return Circle((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, hypot(a[0] - b[0], a[1] - b[1]) / 2)


def _through_three(a: Place, b: Place, c: Place) -> Circle:
    bx, by, cx, cy = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
    twice_area = 2 * (bx * cy - by * cx)
    if abs(twice_area) <= _FLAT * (hypot(bx, by) * hypot(cx, cy)):  # on one line but for rounding: the ends decide
        return max((_around_two(*pair) for pair in ((a, b), (b, c), (a, c))), key=lambda circle: circle.radius)
    x = (cy * (bx * bx + by * by) - by * (cx * cx + cy * cy)) / twice_area
    y = (bx * (cx * cx + cy * cy) - cx * (bx * bx + by * by)) / twice_area
    return Circle(a[0] + x, a[1] + y, hypot(x, y))
