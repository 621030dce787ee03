"""How likely a shot falls within a circle when its coordinates scatter normally, differently and correlated."""

from __future__ import annotations

from math import asin, cos, log, radians, sin, sqrt
from typing import Final

import numpy as np
from scipy.special import ndtr

from handlers.stats.groups.figures import ONE_LINE, SAME_PLACE, Figure, absent, needs
from handlers.stats.groups.shots import Shots

_DIRECTIONS: Final = 1024
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_STEPS_AT_MOST: Final = 60
_CLOSE: Final = 1e-13
_REACH: Final = 9.0  # standard deviations beyond which nothing falls


def share_within(shots: Shots, radius: float) -> Figure:
    """The share of all shots (0…1) within `radius` of the group's centre, from two shots on; no interval is known.

    Hoyt's distribution (Hoyt 1947; shotGroups pHoyt), by the midpoint rule over the direction, which converges
    faster than any power for a periodic integrand.
    """
    reason = _reason(shots)
    return absent(reason) if reason else Figure(_share_and_density(*shots.axes, radius)[0])


def radius_holding(shots: Shots, share: float) -> Figure:
    """The radius around the centre that holds `share` of all shots, in their unit, by Newton's steps."""
    reason = _reason(shots)
    if reason:
        return absent(reason)
    major, minor = shots.axes
    round_one = sqrt(-2 * log(1 - share))
    low, high = round_one * sqrt(minor), round_one * sqrt(major)
    radius = (low + high) / 2
    for _ in range(_STEPS_AT_MOST):
        found, density = _share_and_density(major, minor, radius)
        low, high = (radius, high) if found < share else (low, radius)
        before, radius = radius, radius + (share - found) / density
        if not low <= radius <= high:
            radius = (low + high) / 2
        if abs(radius - before) <= _CLOSE * radius:
            break
    return Figure(radius)


def share_within_of_aim(shots: Shots, radius: float, aim: tuple[float, float] = (0.0, 0.0)) -> Figure:
    """The share of all shots (0…1) within `radius` of where the shooter aims, offset and all; from three shots on.

    Along the longer axis by Gauss-Legendre quadrature of 256 nodes, across it in closed form. No interval is known.
    """
    if shots.n < 3:
        return absent(needs(3))
    if shots.on_one_line:
        return absent(SAME_PLACE if shots.same_place else ONE_LINE)
    major, minor = (sqrt(variance) for variance in shots.axes)
    turn = radians(shots.angle_deg)
    off_x, off_y = shots.centre_x - aim[0], shots.centre_y - aim[1]
    along, across = cos(turn) * off_x + sin(turn) * off_y, cos(turn) * off_y - sin(turn) * off_x
    first, last = max(-radius, along - _REACH * major), min(radius, along + _REACH * major)
    if first >= last:
        return Figure(0.0)
    begin, end = asin(first / radius), asin(last / radius)
    angles = (end - begin) / 2 * _NODES + (end + begin) / 2
    half_chord = radius * np.cos(angles)
    density = np.exp(-(((radius * np.sin(angles) - along) / major) ** 2) / 2) / (major * sqrt(2 * np.pi))
    within = ndtr((half_chord - across) / minor) - ndtr((-half_chord - across) / minor)
    share = float(_WEIGHTS @ (density * within * half_chord)) * (end - begin) / 2
    return Figure(min(max(share, 0.0), 1.0))


_MIDPOINTS: Final = np.cos((np.arange(_DIRECTIONS) + 0.5) * (np.pi / 2 / _DIRECTIONS)) ** 2


def _share_and_density(major: float, minor: float, radius: float) -> tuple[float, float]:
    """The share within the radius, and by how much it grows with it."""
    variance = minor + (major - minor) * _MIDPOINTS
    beyond = np.exp(-(radius**2) / (2 * variance))
    return float(1 - beyond.mean()), float((radius / variance * beyond).mean())


def _reason(shots: Shots) -> str | None:
    if shots.n < 2:
        return needs(2)
    return SAME_PLACE if shots.same_place else None
