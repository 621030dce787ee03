from itertools import combinations
from math import hypot, inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stats.statistics import (
    Mean,
    convex_hull,
    extreme_spread,
    group,
    mean_with_interval,
)

REFERENCE = Path(__file__).parents[4] / "shared" / "data" / "DFscar17.csv"
INCH_UM = 25_400
POINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=30)
FAR_POINTS = st.lists(st.tuples(st.integers(-(10**7), 10**7), st.integers(-(10**7), 10**7)), max_size=30)


@given(POINTS | FAR_POINTS)
def test_the_extreme_spread_is_the_largest_distance_between_two_shots(points: list[tuple[int, int]]) -> None:
    pairs = [hypot(a[0] - b[0], a[1] - b[1]) for a, b in combinations(points, 2)]
    spread = extreme_spread(len(points), convex_hull(points))
    assert spread is None if not pairs else spread == pytest.approx(max(pairs), rel=1e-12)


@given(POINTS, POINTS)
def test_hulls_of_parts_make_the_hull_of_the_whole(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    assert convex_hull([*convex_hull(a), *convex_hull(b)]) == convex_hull([*b, *a])


@given(POINTS)
def test_no_shot_lies_outside_the_hull(points: list[tuple[int, int]]) -> None:
    hull = convex_hull(points)
    assert set(hull) <= set(points)
    if len(hull) < 3:
        return
    for (ax, ay), (bx, by) in zip(hull, (*hull[1:], hull[0]), strict=True):
        assert all((bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0 for x, y in points)


def test_a_group_agrees_with_the_reference_set() -> None:
    """DFscar17, published with shotGroups 0.8.4: centre (2.599, 2.299), extreme spread 3.048 inches."""
    if not REFERENCE.exists():
        pytest.skip(f"{REFERENCE} is not here")
    inches = np.loadtxt(REFERENCE, delimiter=",", skiprows=1, usecols=(1, 2))
    x_um, y_um = np.rint(inches * INCH_UM).astype(np.int64).T
    found = group(x_um, y_um, np.zeros(10, dtype=np.int64), 0, 0)
    assert found.centre_x_um is not None
    assert found.centre_y_um is not None
    assert found.extreme_spread_um is not None
    assert found.centre_x_um / INCH_UM == pytest.approx(2.599, abs=5e-4)
    assert found.centre_y_um / INCH_UM == pytest.approx(2.299, abs=5e-4)
    assert found.extreme_spread_um / INCH_UM == pytest.approx(3.048, abs=5e-4)
    distances = np.hypot(*(inches - inches.mean(axis=0)).T)
    assert found.mean_radius_um == pytest.approx(distances.mean() * INCH_UM, abs=1)


def test_a_group_of_four_is_described() -> None:
    found = group([3_000, -3_000, 0, 0], [0, 0, 4_000, -4_000], [105, 99, 90, 88], 1, 1)
    assert found.shots == 4
    assert found.score_tenths == 382
    assert found.integer_score == 36
    assert found.inner_tens == 1
    assert found.mean_score == pytest.approx(7.64)
    assert (found.centre_x_um, found.centre_y_um) == (0, 0)
    assert found.mean_radius_um == 3_500
    assert found.extreme_spread_um == 8_000


def test_no_shots_have_no_centre() -> None:
    found = group([], [], [], 0, 0)
    assert found.shots == 0
    assert found.mean_score is found.centre_x_um is found.mean_radius_um is found.extreme_spread_um is None


def test_a_session_of_misses_scores_nothing() -> None:
    assert group([], [], [], 0, 3).mean_score == 0


@pytest.mark.parametrize(("n", "quantile"), [(3, 4.302653), (5, 2.776445), (10, 2.262157), (60, 2.000995)])
def test_the_interval_is_students(n: int, quantile: float) -> None:
    """The quantiles are those of printed tables."""
    assert mean_with_interval(n, 9.5, 1.0).high == pytest.approx(9.5 + quantile / n**0.5, abs=1e-6)


def test_two_shots_have_a_mean_and_no_interval() -> None:
    assert mean_with_interval(2, 9.5, 0.1) == Mean(2, 9.5, None, None)


@given(st.integers(3, 10**6), st.floats(0, 10.9), st.floats(0, 5))
def test_the_interval_holds_the_mean_and_narrows(n: int, mean: float, deviation: float) -> None:
    few, many = mean_with_interval(n, mean, deviation), mean_with_interval(n * 2, mean, deviation)
    assert (few.low if few.low is not None else inf) <= mean <= (few.high if few.high is not None else -inf)
    assert few.high is not None
    assert many.high is not None
    assert many.high <= few.high
