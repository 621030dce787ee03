from math import degrees, hypot, log, nan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlers.stats.groups import normal, rayleigh
from handlers.stats.groups.angles import moa, mrad
from handlers.stats.groups.circle import Circle, smallest_circle
from handlers.stats.groups.description import Description, describe
from handlers.stats.groups.extent import Ellipse
from handlers.stats.groups.figures import ONE_LINE, SAME_PLACE, Figure
from handlers.stats.groups.outliers import outliers
from handlers.stats.groups.shots import Numbers, Shots

GROUPS = st.integers(0, 30).flatmap(
    lambda n: arrays(np.int64, (2, n), elements=st.integers(-100_000, 100_000) | st.integers(-3, 3))
)
NORMAL = st.builds(
    lambda seed, n, tall: np.rint(np.random.default_rng(seed).normal(0, [[3_000], [3_000 * tall]], (2, n))),
    st.integers(0, 10**6),
    st.integers(5, 80),
    st.floats(0.3, 3),
)


def figures(found: Description) -> dict[str, Figure]:
    """All figures that have a length, by name."""
    named = {name: getattr(found, name) for name in found.__slots__ if isinstance(getattr(found, name), Figure)}
    for error in found.circular_errors:
        for name in error.__slots__:
            if name != "share":
                named[f"{name} {error.share}"] = getattr(error, name)
    return named


PLACES = {"centre_x", "centre_y"}
UPRIGHT = {"deviation_x", "deviation_y", "width", "height", "figure_of_merit", "diagonal"}


def alike(a: Figure, b: Figure, within: float = 1e-6) -> bool:
    if a.value is None or b.value is None:
        return a == b
    ends = [(a.value, b.value), (a.low, b.low), (a.high, b.high)]
    return all(
        (p is None) == (q is None) and (p is None or p == pytest.approx(q, rel=within, abs=1e-3)) for p, q in ends
    )


@given(GROUPS)
def test_every_group_is_described_without_a_number_that_is_none(group: Numbers) -> None:
    found = describe(*group)
    for name, figure in figures(found).items():
        assert (figure.value is None) == bool(figure.absent), name
        if figure.value is not None and figure.low is not None and figure.high is not None:
            assert figure.low <= figure.value <= figure.high, name
    assert (found.aim.p is None) == bool(found.aim.absent)
    assert found.aim.p is None or 0 <= found.aim.p <= 1


@given(GROUPS, st.randoms())
def test_the_order_of_the_shots_does_not_matter(group: Numbers, random: object) -> None:
    turns = list(range(group.shape[1]))
    random.shuffle(turns)  # type: ignore[attr-defined]
    first, second = describe(*group), describe(*group[:, turns])
    for name, figure in figures(first).items():
        assert alike(figure, figures(second)[name]), name


@given(NORMAL, st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_moving_a_group_moves_its_centre_and_nothing_else(group: Numbers, right: int, up: int) -> None:
    before, after = describe(*group), describe(group[0] + right, group[1] + up, aim=(right, up))
    moved = figures(after)
    for name, figure in figures(before).items():
        if name not in PLACES:
            assert alike(figure, moved[name]), name
    assert before.centre_x.value is not None
    assert after.centre_x.value == pytest.approx(before.centre_x.value + right, abs=1e-6)
    assert before.aim.t_squared is not None
    assert after.aim.t_squared == pytest.approx(before.aim.t_squared, rel=1e-6)
    assert before.outliers.indices == after.outliers.indices


@given(NORMAL, st.floats(0, 2 * pi))
def test_turning_a_group_changes_no_measure_that_has_no_direction(group: Numbers, turn: float) -> None:
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    before, after = describe(*group), describe(*(matrix @ group))
    turned = figures(after)
    for name, figure in figures(before).items():
        if name not in PLACES | UPRIGHT:
            assert alike(figure, turned[name]), name
    assert isinstance(before.ellipse, Ellipse)
    assert isinstance(after.ellipse, Ellipse)
    assert after.ellipse.semi_major == pytest.approx(before.ellipse.semi_major, rel=1e-6)
    if before.ellipse.semi_major / before.ellipse.semi_minor > 1.05:
        by = (after.ellipse.angle_deg - before.ellipse.angle_deg - degrees(turn)) % 180
        assert min(by, 180 - by) == pytest.approx(0, abs=1e-3)


@given(NORMAL, st.floats(1e-3, 1e3))
def test_a_group_of_another_size_has_all_its_lengths_in_that_proportion(group: Numbers, factor: float) -> None:
    before, after = describe(*group), describe(*(group * factor))
    for name, figure in figures(before).items():
        assert alike(figure, figures(after)[name].times(1 / factor)), name
    assert before.outliers.indices == after.outliers.indices


@pytest.mark.parametrize(
    ("places", "reasons"),
    [
        ([], {"sigma": "At least 2 shots are needed.", "centre_x": "A shot is needed."}),
        ([(5, 7)], {"sigma": "At least 2 shots are needed.", "extreme_spread": "At least 2 shots are needed."}),
        ([(5, 7)] * 8, {"sigma": SAME_PLACE, "grubbs_patnaik 0.5": SAME_PLACE}),
        ([(1, 2), (3, 4)], {"kuchnost": "At least 4 shots are needed."}),
    ],
)
def test_a_figure_that_is_not_there_has_a_reason(places: list[tuple[int, int]], reasons: dict[str, str]) -> None:
    found = figures(describe(*np.array(places, dtype=np.int64).reshape(-1, 2).T))
    assert {name: found[name].absent for name in reasons} == reasons


def test_shots_on_one_line_have_a_spread_and_no_ellipse() -> None:
    found = describe([0.1, 0.2, 0.3, 0.4, 0.7], [0.3, 0.6, 0.9, 1.2, 2.1])
    assert found.ellipse == found.aim.absent == ONE_LINE
    assert found.sigma.value is not None
    assert found.smallest_circle is not None
    assert found.smallest_circle.radius == pytest.approx(hypot(0.6, 1.8) / 2)


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match="has a place"):
        describe([nan, 1], [1, 2])
    with pytest.raises(ValueError, match="as many x as y"):
        describe([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        describe([1, 2], [1, 2], confidence=95)


@given(GROUPS.filter(lambda group: group.shape[1] > 1))
def test_the_smallest_circle_holds_all_shots_and_is_held_by_two_or_three(group: Numbers) -> None:
    circle = describe(*group).smallest_circle
    assert circle is not None
    away = np.hypot(group[0] - circle.x, group[1] - circle.y)
    slack = 1e-6 * (circle.radius + 1)
    assert away.max() <= circle.radius + slack
    on = group[:, away >= circle.radius - slack].T
    # No half of the circle's edge is free of shots, or it could be made smaller.
    angles = np.sort(np.arctan2(on[:, 1] - circle.y, on[:, 0] - circle.x))
    if circle.radius > 0:
        assert np.diff(np.append(angles, angles[0] + 2 * pi)).max() <= pi + 1e-3


def test_a_square_has_its_circle() -> None:
    circle = smallest_circle(np.array([(0, 0), (2, 0), (2, 2), (0, 2)], dtype=float))
    assert circle == pytest.approx(Circle(1, 1, sqrt(2)))


def test_a_large_group_has_the_same_hull_as_its_pairs_say() -> None:
    group = np.rint(np.random.default_rng(5).normal(0, 4_000, (2, 3_000)))
    spread = max(float(np.hypot(*(group - group[:, [i]])).max()) for i in range(3_000))
    assert describe(*group).extreme_spread.value == pytest.approx(spread, rel=1e-12)


def test_chances_agree_with_counting() -> None:
    """A million shots from the normal distribution that a group of three describes, against both quadratures."""
    shots = Shots.of([0.0, 4.0, 1.0], [0.0, 1.0, 3.0])
    covariance = [[shots.xx, shots.xy], [shots.xy, shots.yy]]
    fired = np.random.default_rng(11).multivariate_normal((shots.centre_x, shots.centre_y), covariance, 1_000_000)
    for radius in (0.5, 2.0, 5.0):
        around = (np.hypot(*(fired - [shots.centre_x, shots.centre_y]).T) <= radius).mean()
        of_aim = (np.hypot(*(fired - [1.0, -1.0]).T) <= radius).mean()
        assert normal.share_within(shots, radius).value == pytest.approx(around, abs=0.002)
        assert normal.share_within_of_aim(shots, radius, (1.0, -1.0)).value == pytest.approx(of_aim, abs=0.002)


@given(NORMAL, st.floats(0.05, 0.99))
def test_the_radius_that_holds_a_share_holds_it(group: Numbers, share: float) -> None:
    shots = Shots.of(*group)
    radius = normal.radius_holding(shots, share).value
    assert radius is not None
    assert normal.share_within(shots, radius).value == pytest.approx(share, abs=1e-9)
    sigma = rayleigh.sigma(shots, 0.95)
    by_rayleigh = rayleigh.radius_holding(sigma, share).value
    assert by_rayleigh is not None
    assert rayleigh.share_within(sigma, by_rayleigh).value == pytest.approx(share, abs=1e-9)


def test_a_round_group_has_one_circular_error() -> None:
    """Four shots at the corners of a square: every estimator of the normal family is the same circle."""
    error = describe([1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]).circular_errors[0]
    expected = sqrt(4 / 3) * sqrt(2 * log(2))
    for figure in (error.grubbs_patnaik, error.grubbs_pearson, error.correlated_normal, error.rmse):
        assert figure.value == pytest.approx(expected)
    assert error.rand.value == pytest.approx(1.177 * sqrt(4 / 3))


def test_lengths_are_seen_under_angles() -> None:
    assert moa(1.047, 3_600) == pytest.approx(1, abs=3e-4)
    assert mrad(10, 10_000) == pytest.approx(1, abs=1e-6)
    assert moa(-8_000, 10_000_000) == -moa(8_000, 10_000_000)
    assert mrad(8_000, 10_000_000) / moa(8_000, 10_000_000) == pytest.approx(pi / 10.8)


def test_a_flyer_is_left_out_of_kuchnost_and_named_an_outlier() -> None:
    steady = describe([0, 10, 0, 10], [0, 0, 10, 10])
    assert steady.kuchnost.value == pytest.approx(sqrt(50))
    flown = describe([0, 10, 0, 100], [0, 0, 10, 100])
    assert flown.kuchnost.value == pytest.approx(hypot(20 / 3, 10 / 3))
    ring = [(1_000 * np.cos(turn), 700 * np.sin(turn)) for turn in range(20)]
    group = np.array([*ring[:4], (9_000, -8_000), *ring[4:8], (9_500, 7_000), *ring[8:]]).T
    assert describe(*group).outliers.indices == (4, 9)


@pytest.mark.parametrize("n", [5, 10, 60])
def test_about_one_clean_group_in_twenty_has_a_shot_named_an_outlier(n: int) -> None:
    groups = np.random.default_rng(n).normal(0, 1_000, (1_000, 2, n))
    assert sum(bool(outliers(Shots.of(*group)).indices) for group in groups) / 1_000 == pytest.approx(0.05, abs=0.03)


def test_many_shots_in_one_place_have_no_extent():
    assert describe([1_000] * 501, [-2_000] * 501).extreme_spread.value == 0
