"""Groups against published figures, against figures found by other means, and intervals against the truth."""

import statistics
from collections.abc import Callable
from itertools import combinations
from math import exp, hypot, lgamma, log, pi, radians, sqrt, tan
from pathlib import Path

import numpy as np
import pytest

from handlers.stats.groups import normal, ranges, rayleigh
from handlers.stats.groups.aim import off_aim
from handlers.stats.groups.description import Description, describe
from handlers.stats.groups.extent import Ellipse
from handlers.stats.groups.figures import Figure
from handlers.stats.groups.shots import Shots

REFERENCE = Path(__file__).parents[4] / "shared" / "data" / "DFscar17.csv"
MOA_AT_100_YARDS_INCHES = 2 * 3_600 * tan(radians(1 / 60) / 2)
OURS = [(1, 9), (4, 2), (-3, 5), (7, 7), (0, -6), (-5, -1), (2, 3)]


@pytest.fixture(scope="module")
def published() -> Description:
    if not REFERENCE.exists():
        pytest.skip(f"{REFERENCE} is not here")
    return describe(*np.loadtxt(REFERENCE, delimiter=",", skiprows=1, usecols=(1, 2)).T)


def printed(figure: Figure | float | None, digits: int = 4) -> str:
    value = figure.value if isinstance(figure, Figure) else figure
    assert value is not None
    return f"{value:.{digits}f}"


def test_a_published_group_agrees_to_every_printed_digit(published: Description) -> None:
    """DFscar17, ten shots at 100 yards in inches, as printed in the vignette of shotGroups 0.8.4."""
    d = published
    assert [printed(d.centre_x, 3), printed(d.centre_y, 3)] == ["2.599", "2.299"]
    assert d.covariance is not None
    assert [printed(one) for one in d.covariance] == ["0.4492", "-0.1695", "0.6253"]
    assert [printed(d.sigma), printed(d.sigma.low), printed(d.sigma.high)] == ["0.7432", "0.5616", "1.0991"]
    ninety = rayleigh.sigma(d.shots, 0.9)
    assert [printed(ninety.low), printed(ninety.high)] == ["0.5869", "1.0290"]
    assert printed(d.expected_radial_deviation) == "0.4869"
    assert printed(d.expected_mean_radius) == "0.9315"
    half = d.circular_errors[0]
    assert [printed(half.grubbs_patnaik), printed(half.rayleigh)] == ["0.8415", "0.8751"]
    assert isinstance(d.ellipse, Ellipse)
    assert [printed(d.ellipse.semi_major), printed(d.ellipse.semi_minor)] == ["2.4900", "1.7168"]
    assert printed(d.ellipse.factor, 3) == "2.918"
    assert printed(d.ellipse.semi_major / d.ellipse.semi_minor) == "1.4503"
    assert [printed(one, 3) for one in (d.extreme_spread, d.figure_of_merit, d.diagonal)] == ["3.048", "2.445", "3.463"]
    assert printed(ranges.from_extreme_spread(d.extreme_spread, 10)) == "0.7996"
    assert printed(ranges.from_figure_of_merit(d.figure_of_merit, 10)) == "0.7945"
    assert printed(ranges.from_diagonal(d.diagonal, 10)) == "0.7832"
    assert printed(normal.share_within(d.shots, MOA_AT_100_YARDS_INCHES)) == "0.6508"


def test_a_group_of_our_own_agrees_with_what_other_means_find() -> None:
    """Seven shots; each figure from its definition with the standard library, not with what is tested."""
    d = describe(*np.array(OURS).T)
    xs, ys = [float(x) for x, _ in OURS], [float(y) for _, y in OURS]
    mx, my = statistics.fmean(xs), statistics.fmean(ys)
    away = [hypot(x - mx, y - my) for x, y in OURS]
    assert (d.centre_x.value, d.centre_y.value) == pytest.approx((mx, my))
    assert (d.deviation_x.value, d.deviation_y.value) == pytest.approx((statistics.stdev(xs), statistics.stdev(ys)))
    assert d.covariance is not None
    assert d.covariance[1] == pytest.approx(statistics.covariance(xs, ys))
    assert d.mean_radius.value == pytest.approx(statistics.fmean(away))
    assert d.median_radius.value == pytest.approx(statistics.median(away))
    assert d.extreme_spread.value == pytest.approx(
        max(hypot(a[0] - b[0], a[1] - b[1]) for a, b in combinations(OURS, 2))
    )
    c4 = sqrt(2 / 12) * exp(lgamma(6.5) - lgamma(6))
    assert d.sigma.value == pytest.approx(sqrt(sum(r * r for r in away) / 12) / c4)
    assert (d.width.value, d.height.value, d.diagonal.value) == pytest.approx((12, 15, hypot(12, 15)))
    t_975, chi_025, chi_975 = 2.446912, 1.237344, 14.449375  # six degrees of freedom, from printed tables
    reach = t_975 * statistics.stdev(xs) / sqrt(7)
    assert (d.centre_x.low, d.centre_x.high) == pytest.approx((mx - reach, mx + reach), rel=1e-5)
    squares = statistics.variance(xs) * 6
    assert (d.deviation_x.low, d.deviation_x.high) == pytest.approx(
        (sqrt(squares / chi_975), sqrt(squares / chi_025)), rel=1e-5
    )


def test_hotellings_test_agrees_with_turning_the_offset_about() -> None:
    """T squared is the largest squared t of any direction; searched for here, not solved for."""
    d = describe(*np.array(OURS).T)
    best = 0.0
    for turn in np.linspace(0, pi, 20_001):
        along = [x * np.cos(turn) + y * np.sin(turn) for x, y in OURS]
        best = max(best, (statistics.fmean(along) / (np.std(along, ddof=1) / sqrt(7))) ** 2)
    assert d.aim.t_squared == pytest.approx(best, rel=1e-6)
    # With two and n - 2 degrees of freedom F's tail is a power: (1 + 2 f / (n - 2)) ** -((n - 2) / 2)
    f = 5 / 12 * best
    assert d.aim.p == pytest.approx((1 + 2 * f / 5) ** -2.5, rel=1e-5)


def test_constants_of_the_box_are_those_of_control_charts() -> None:
    for n, printed_d2 in ((2, 1.128), (5, 2.326), (10, 3.078), (25, 3.931)):
        assert ranges.mean_range(n) == pytest.approx(printed_d2, abs=5e-4)


@pytest.mark.parametrize("n", [2, 3, 7, 10, 20])
def test_constants_of_extreme_spread_and_diagonal_agree_with_a_simulation(n: int) -> None:
    places = np.random.default_rng(n).normal(size=(2, 20_000, n))
    pairs = combinations(range(n), 2)
    spread = np.max([np.hypot(*(places[:, :, i] - places[:, :, j])) for i, j in pairs], axis=0).mean()
    assert ranges.EXTREME_SPREADS[n - 2] == pytest.approx(spread, rel=0.01)
    assert ranges.mean_diagonal(n) == pytest.approx(np.hypot(*np.ptp(places, axis=2)).mean(), rel=0.01)


def test_two_shots_are_sqrt_pi_apart_on_average() -> None:
    assert ranges.EXTREME_SPREADS[0] == pytest.approx(sqrt(pi), abs=2e-4)
    assert ranges.mean_diagonal(2) == pytest.approx(sqrt(pi), abs=1e-3)


TRUTHS: dict[str, tuple[Callable[[Description], Figure], float]] = {
    "the centre": (lambda d: d.centre_x, 5.0),
    "the deviation": (lambda d: d.deviation_y, 2.0),
    "sigma": (lambda d: d.sigma, 2.0),
    "the mean radius": (lambda d: d.expected_mean_radius, 2 * sqrt(pi / 2)),
    "the radius of half of the shots": (lambda d: d.circular_errors[0].rayleigh, 2 * sqrt(2 * log(2))),
    "the share within a radius": (lambda d: rayleigh.share_within(d.sigma, 3.0), 1 - exp(-9 / 8)),
}


@pytest.fixture(scope="module")
def simulated() -> list[Description]:
    fired = np.random.default_rng(17).normal([[5.0], [-3.0]], 2.0, (400, 2, 10))
    return [describe(*group, confidence=0.9) for group in fired]


@pytest.mark.parametrize("name", TRUTHS)
def test_intervals_contain_the_truth_at_their_rate(name: str, simulated: list[Description]) -> None:
    read, truth = TRUTHS[name]
    held = sum(
        figure.low is not None and figure.high is not None and figure.low <= truth <= figure.high
        for figure in map(read, simulated)
    )
    assert held / len(simulated) == pytest.approx(0.9, abs=0.045)


def test_a_group_that_is_not_off_its_aim_is_said_to_be_at_the_stated_rate() -> None:
    fired = np.random.default_rng(18).normal([[5.0], [-3.0]], 2.0, (2_000, 2, 10))
    alarms = sum((off_aim(Shots.of(*group), (5.0, -3.0)).p or 0) < 0.1 for group in fired)
    assert alarms / 2_000 == pytest.approx(0.1, abs=0.025)


def test_the_ellipse_holds_the_share_it_states() -> None:
    """A little less often than stated, in truth, as its factor leaves out how uncertain the centre is."""
    rng, held = np.random.default_rng(23), 0
    for _ in range(400):
        *group, new = rng.normal(0, 2.0, (21, 2))
        shots = Shots.of(*np.array(group).T)
        ellipse = describe(*np.array(group).T, confidence=0.9).ellipse
        assert isinstance(ellipse, Ellipse)
        off = new - [shots.centre_x, shots.centre_y]
        covariance = np.array([[shots.xx, shots.xy], [shots.xy, shots.yy]])
        held += bool(off @ np.linalg.solve(covariance, off) <= ellipse.factor**2)
    assert held / 400 == pytest.approx(0.9, abs=0.045)
