"""Everything that is known of a group of shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from handlers.stats.groups import aim as aims
from handlers.stats.groups import rayleigh
from handlers.stats.groups.aim import Aim
from handlers.stats.groups.circle import Circle
from handlers.stats.groups.circular_error import CircularError, circular_error
from handlers.stats.groups.extent import Ellipse, Extent, deviation, ellipse
from handlers.stats.groups.figures import Figure, absent, needs
from handlers.stats.groups.outliers import Outliers, kuchnost, outliers
from handlers.stats.groups.shots import Shots

SHARES: Final = (0.5, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Description:
    """A group of n shots in figures, lengths in the unit of the shots and variances in its square.

    `mean_radius` and `median_radius` are those of the shots themselves; `expected_…` is what Rayleigh's sigma says of
    all shots fired this way, and has an interval. `shots` is the group made ready, to ask further.
    """

    shots: Shots
    centre_x: Figure
    centre_y: Figure
    offset: Figure
    aim: Aim
    deviation_x: Figure
    deviation_y: Figure
    covariance: tuple[float, float, float] | None  # of x, of x with y, of y
    extreme_spread: Figure
    figure_of_merit: Figure
    width: Figure
    height: Figure
    diagonal: Figure
    smallest_circle: Circle | None
    ellipse: Ellipse | str
    mean_radius: Figure
    median_radius: Figure
    sigma: Figure
    expected_mean_radius: Figure
    expected_radial_deviation: Figure
    circular_errors: tuple[CircularError, ...]
    kuchnost: Figure
    outliers: Outliers


def describe(
    x: npt.ArrayLike, y: npt.ArrayLike, *, confidence: float = 0.95, aim: tuple[float, float] = (0.0, 0.0)
) -> Description:
    """Describe n shots at `x`, `y`, both of shape (n,), in any one unit of length, as seen from the aim's origin.

    `confidence` (0…1, both excluded) is the rate of every interval and the ellipse's share. Groups too small or too
    regular for a figure have the reason in its place. Raises ValueError for arrays of unequal shape, places that are
    not finite, or another confidence.
    """
    if not 0 < confidence < 1:
        raise ValueError("a confidence lies between 0 and 1")
    shots = Shots.of(x, y)
    extent, sigma = Extent(shots), rayleigh.sigma(shots, confidence)
    centre_x, centre_y = aims.centre(shots, confidence)
    return Description(
        shots=shots,
        centre_x=centre_x,
        centre_y=centre_y,
        offset=aims.offset(shots, aim),
        aim=aims.off_aim(shots, aim),
        deviation_x=deviation(shots.xx, shots.n, confidence),
        deviation_y=deviation(shots.yy, shots.n, confidence),
        covariance=(shots.xx, shots.xy, shots.yy) if shots.n > 1 else None,
        extreme_spread=extent.extreme_spread,
        figure_of_merit=extent.figure_of_merit,
        width=extent.width,
        height=extent.height,
        diagonal=extent.diagonal,
        smallest_circle=extent.circle,
        ellipse=ellipse(shots, confidence),
        mean_radius=Figure(float(shots.distances.mean())) if shots.n > 1 else absent(needs(2)),
        median_radius=Figure(float(np.median(shots.distances))) if shots.n > 1 else absent(needs(2)),
        sigma=sigma,
        expected_mean_radius=rayleigh.mean_radius(sigma),
        expected_radial_deviation=rayleigh.radial_deviation(sigma),
        circular_errors=tuple(circular_error(shots, share, confidence) for share in SHARES),
        kuchnost=kuchnost(shots),
        outliers=outliers(shots),
    )
