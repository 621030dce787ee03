import csv
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stats.faces import FACES, Face
from handlers.stats.scoring import integer_score, score

OUTSIDE_DATA = Path(__file__).parents[4] / "shared" / "data"
FACE_NAMES = st.sampled_from(sorted(FACES))
REACH = st.integers(-300_000, 300_000)
TENTHS = st.integers(10, 109)


def tenths(face: str, x_um: int, y_um: int = 0) -> int:
    return int(score(FACES[face], [x_um], [y_um]).tenths[0])


def limit(face: Face, s: int) -> Fraction:
    """The largest distance that scores s tenths, from the rule as it is written."""
    ten, ring = Fraction(face.ring10_um + face.gauge_um, 2), Fraction(face.step_um, 2)
    return ten * (11 - Fraction(s, 10)) if s >= 100 else ten + (10 - Fraction(s, 10)) * ring


@pytest.mark.parametrize(
    ("face", "x_um", "expected"),
    [
        ("air-rifle-10m", 0, 109),
        ("air-rifle-10m", 250, 109),
        ("air-rifle-10m", 251, 108),
        ("air-rifle-10m", 500, 108),
        ("air-rifle-10m", 2_500, 100),
        ("air-rifle-10m", 2_501, 99),
        ("air-rifle-10m", 25_000, 10),
        ("air-rifle-10m", 25_001, 0),
        ("air-pistol-10m", 800, 109),
        ("air-pistol-10m", 801, 108),
        ("air-pistol-10m", 8_000, 100),
        ("air-pistol-10m", 80_000, 10),
        ("air-pistol-10m", 80_001, 0),
        ("rifle-50m", 8_000, 100),
        ("pistol-50m", 27_800, 100),  # the ten is wider than a ring: two lines, not one
        ("pistol-50m", 2_780, 109),
        ("pistol-50m", 2_781, 108),
        ("pistol-50m", 27_801, 99),
        ("pistol-50m", 30_300, 99),
        ("pistol-50m", 30_301, 98),
        ("rapid-fire-pistol-25m", 252_800, 50),
        ("rapid-fire-pistol-25m", 252_801, 0),
        ("rifle-300m", 54_000, 100),
    ],
)
def test_a_hole_that_touches_a_line_has_the_better_score(face: str, x_um: int, expected: int) -> None:
    assert tenths(face, x_um) == expected
    assert tenths(face, 0, -x_um) == expected


def test_an_air_rifle_shot_of_half_a_millimetre_scores_as_the_machines_say() -> None:
    assert tenths("air-rifle-10m", 400, 300) == 108


@pytest.mark.parametrize(
    ("face", "inside", "outside"),
    [
        ("air-rifle-10m", 2_000, 2_001),
        ("air-pistol-10m", 4_750, 4_751),
        ("rifle-50m", 5_300, 5_301),
        ("pistol-25m", 15_300, 15_301),
    ],
)
def test_an_inner_ten_ends_where_the_rules_say(face: str, inside: int, outside: int) -> None:
    assert score(FACES[face], [inside, outside], [0, 0]).inner_ten.tolist() == [True, False]


@given(FACE_NAMES, TENTHS)
def test_every_limit_is_exact(name: str, s: int) -> None:
    face = FACES[name]
    if s < face.lowest * 10:
        return
    edge = limit(face, s)
    last_inside = edge.numerator // edge.denominator
    assert tenths(name, last_inside) >= s
    assert tenths(name, last_inside + 1) < s


@given(FACE_NAMES, TENTHS, st.integers(0, 300_000))
def test_diagonal_shots_are_exact_too(name: str, s: int, x_um: int) -> None:
    face = FACES[name]
    edge = limit(face, s)
    room = edge * edge - x_um * x_um
    if s < face.lowest * 10 or room < 0:
        return
    y_um = isqrt(room.numerator // room.denominator)
    assert tenths(name, x_um, y_um) >= s
    assert tenths(name, x_um, y_um + 1) < s


@given(FACE_NAMES, REACH, REACH, REACH, REACH)
def test_further_out_never_scores_better(name: str, x1: int, y1: int, x2: int, y2: int) -> None:
    scores = score(FACES[name], [x1, x2], [y1, y2])
    nearer, further = (0, 1) if x1 * x1 + y1 * y1 <= x2 * x2 + y2 * y2 else (1, 0)
    assert scores.tenths[nearer] >= scores.tenths[further]
    assert scores.inner_ten[nearer] >= scores.inner_ten[further]


@given(FACE_NAMES, REACH, REACH)
def test_only_the_distance_counts(name: str, x: int, y: int) -> None:
    turned = score(FACES[name], [x, -x, x, -x, y, -y, y, -y], [y, y, -y, -y, x, x, -x, -x])
    assert len(set(turned.tenths.tolist())) == 1
    assert len(set(turned.inner_ten.tolist())) == 1


@given(FACE_NAMES, st.lists(st.tuples(REACH, REACH), max_size=20))
def test_a_batch_scores_like_its_shots(name: str, shots: list[tuple[int, int]]) -> None:
    x_um, y_um = [x for x, _ in shots], [y for _, y in shots]
    scores = score(FACES[name], np.array(x_um, dtype=np.int64), np.array(y_um, dtype=np.int64))
    assert scores.tenths.tolist() == [tenths(name, x, y) for x, y in shots]
    assert all(s == 0 or FACES[name].lowest * 10 <= s <= 109 for s in scores.tenths)


def test_ten_metres_out_does_not_leave_64_bits() -> None:
    assert tenths("rifle-300m", 10_000_000, -10_000_000) == 0


def test_fractions_of_a_micrometre_are_refused() -> None:
    with pytest.raises(ValueError, match="whole micrometres"):
        score(FACES["air-rifle-10m"], [0.5], [0.5])


@pytest.mark.parametrize(
    ("file", "face", "shots"),
    [
        ("ts_551.csv", "air-pistol-10m", 60),
        ("ts_562.csv", "air-pistol-10m", 60),
        ("ts_Rifle.csv", "air-rifle-10m", 15),
        ("ts_esp.csv", "air-pistol-10m", 20),
    ],
)
def test_scanned_targets_score_as_the_scanner_said(file: str, face: str, shots: int) -> None:
    """All 155 agree, inner tens included, with no tolerance: no scanned hole lies within its rounding of an edge.

    The scanner rounds to 0.01 mm, so a hole that close to an edge could fall on its other side and still be right.
    """
    path = OUTSIDE_DATA / "targetscan" / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    x_um, y_um = ([int(Decimal(row[axis]) * 1000) for row in rows] for axis in "xy")
    scores = score(FACES[face], x_um, y_um)
    ours = [
        f"{t / 10:.1f}" if "." in row["Score"] else f"{t // 10}{'*' * inner}"
        for row, t, inner in zip(rows, scores.tenths.tolist(), scores.inner_ten.tolist(), strict=True)
    ]
    assert ours == [row["Score"] for row in rows]
    assert len(rows) == shots


def test_rings_of_a_published_group_are_found() -> None:
    """DFscar17 on the 100 m face at 7.62 mm: 71 of 100, as shotGroups counts them."""
    path = OUTSIDE_DATA / "DFscar17.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    inches = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2))
    x_um, y_um = np.rint(inches * 25_400).astype(np.int64).T
    rings = integer_score(score(FACES["rifle-100m"], x_um, y_um).tenths)
    assert rings.tolist() == [7, 6, 7, 7, 7, 7, 7, 7, 8, 8]
    assert rings.sum() == 71
