from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stats.plates import Plate, fallen, hits, hits_zone
from handlers.stats.practical import Stage, hit_factor, points, stage_points

FIVE = [Plate(x_um, 0, 45_000) for x_um in (-120_000, -60_000, 0, 60_000, 120_000)]
FEW = st.integers(0, 40)


def test_an_edge_belongs_to_its_plate() -> None:
    assert hits(FIVE, [22_500, 22_501], [0, 0]).tolist() == [[False, False, True, False, False], [False] * 5]
    assert hits(FIVE, [25_300, 25_301], [0, 0], gauge_um=5_600).any(axis=1).tolist() == [True, False]


def test_a_plate_falls_once() -> None:
    assert fallen(hits(FIVE, [0, 1_000, 60_000, 300_000], [0, 0, 0, 0])) == 2
    assert fallen(hits(FIVE, [], [])) == 0


def test_a_zone_of_a_ring_face_is_hit_from_its_lowest_score_on() -> None:
    assert hits_zone(np.array([96, 97, 109]), 97).tolist() == [False, True, True]


def test_the_rule_books_example() -> None:
    stage = Stage("major", alphas=23, charlies=0, deltas=0, penalties=0, time_s=Decimal("25.00"))
    assert points(stage) == 115
    assert str(hit_factor(stage)) == "4.6000"


@pytest.mark.parametrize(("power", "expected"), [("major", 5 + 4 + 2), ("minor", 5 + 3 + 1)])
def test_power_decides_what_the_outer_zones_are_worth(power: str, expected: int) -> None:
    assert points(Stage(power, 1, 1, 1, 0, Decimal(1))) == expected  # type: ignore[arg-type]


def test_penalties_never_lead_below_zero() -> None:
    assert points(Stage("minor", 4, 0, 0, 1, Decimal(5))) == 10
    assert hit_factor(Stage("minor", 1, 0, 0, 3, Decimal(5))) == 0


def test_a_stage_takes_time() -> None:
    with pytest.raises(ValueError, match="takes time"):
        hit_factor(Stage("minor", 1, 0, 0, 0, Decimal(0)))


def test_the_best_factor_takes_the_stage() -> None:
    shares = stage_points({"a": Decimal("4.6000"), "b": Decimal("2.3000"), "c": Decimal(0)}, 120)
    assert shares == {"a": 120, "b": 60, "c": 0}
    assert stage_points({"a": Decimal(0)}, 120) == {"a": 0}


@given(FEW, FEW, FEW, FEW, st.decimals("0.01", 600, places=2))
def test_a_better_zone_or_a_shorter_time_is_never_worth_less(a: int, c: int, d: int, out: int, time_s: Decimal) -> None:
    factor = hit_factor(Stage("minor", a, c + 1, d, out, time_s))
    assert hit_factor(Stage("minor", a + 1, c, d, out, time_s)) >= factor
    assert hit_factor(Stage("major", a, c + 1, d, out, time_s)) >= factor
    assert hit_factor(Stage("minor", a, c + 1, d, out, time_s + 1)) <= factor
