"""What stands in a report: every figure with its unit and interval, and words where there is nothing."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pypdfium2
import pytest

from handlers.stats.groups.description import describe
from handlers.stats.reports import document as d
from handlers.stats.reports.card import card
from handlers.stats.reports.club import club
from handlers.stats.reports.drawing import Drawing, round_up, ticks
from handlers.stats.reports.pdf import pdf
from handlers.stats.reports.season import season
from handlers.stats.reports.target import SIDE_MM, target
from handlers.stats.statistics import mean_with_interval
from tests.handlers.scenario import NOON
from tests.handlers.stats.reports.made import PISTOL, session_of, spread

BERLIN = ZoneInfo("Europe/Berlin")
LONG = "ein-wirklich-sehr-langer-name-wie-ihn-nur-ein-mensch-erfindet-64"
SINCE, UNTIL = NOON - timedelta(days=100), NOON + timedelta(days=100)


def text_of(document: dict[str, Any], foot: str = "made today") -> list[str]:
    """Each page's text, read back from the PDF."""
    opened = pypdfium2.PdfDocument(pdf(document, foot, NOON.replace(microsecond=4711)))
    return [re.sub(r"\s+", " ", page.get_textpage().get_text_range()) for page in opened]


def test_a_card_has_the_scores_the_group_and_its_intervals_on_one_page():
    session, shots = session_of([*spread(59), None])
    (page,) = text_of(card(session, shots, BERLIN))
    group = describe([s.x_um for s in shots if not s.miss], [s.y_um for s in shots if not s.miss])
    assert group.sigma.value is not None
    assert group.sigma.low is not None
    assert group.sigma.high is not None
    sigma = f"{group.sigma.value / 1000:.2f} {group.sigma.low / 1000:.2f} to {group.sigma.high / 1000:.2f}"
    assert f"Sigma (Rayleigh) {sigma}" in page
    assert f"{session.score_tenths / 10:.1f}" in page
    assert "1 missed, 2 sighters" in page
    assert "1 June 2026, 14:00 (Europe/Berlin)" in page, "in the zone that was asked for"
    assert "MOA mrad" in page
    assert "Page 1 of 1" in page
    mean = mean_with_interval(60, session.mean or 0.0, session.deviation)
    assert f"95 %: {mean.low:.2f} to {mean.high:.2f}" in page


def test_a_card_says_what_there_is_none_of():
    (empty,) = text_of(card(*session_of([]), BERLIN))
    assert "No match shot has been fired in this session." in empty
    assert "no shot yet" in empty
    (missed,) = text_of(card(*session_of([None, None]), BERLIN))
    assert "No match shot has hit the target." in missed
    (two,) = text_of(card(*session_of([(0, 0), (4_000, 0)]), BERLIN))
    assert "too few for an interval" in two
    (unknown,) = text_of(card(*session_of(spread(12), discipline=LONG, lane=LONG), BERLIN))
    assert "No face is known for this discipline" in unknown
    assert "0.0" not in unknown.partition("Measure")[0], "what is not known is no zero"


@pytest.mark.parametrize("count", [1, 2, 3, 10, 61, 1_200])
def test_a_card_of_any_number_of_shots_is_set(count: int):
    assert text_of(card(*session_of(spread(count)), BERLIN))
    assert text_of(card(*session_of([(1_000, 1_000)] * count), BERLIN)), "all in one hole"


def test_names_in_any_script_are_set_as_they_are_and_nothing_in_them_is_a_command():
    document = card(*session_of(spread(3)), BERLIN)
    document["club"] = 'Стрелковый клуб «Меткий глаз» #panic("x") $x^2$ *bold* @ref ' + "ä" * 60
    (page,) = text_of(document)
    assert "СТРЕЛКОВЫЙ КЛУБ «МЕТКИЙ ГЛАЗ»" in page
    assert '#PANIC("X") $X^2$ *BOLD* @REF' in page


def test_the_same_report_has_the_same_bytes():
    document = card(*session_of(spread(20)), BERLIN)
    assert pdf(document, "foot", NOON) == pdf(document, "foot", NOON)


def test_a_season_says_whether_its_change_is_real_and_lists_every_session():
    earlier = [
        session_of(spread(30, by=16_000 + n * 900), number=n + 1, started_at=NOON - timedelta(days=90 - n * 9))
        for n in range(8)
    ]
    later = [
        session_of(spread(30, by=4_000 + n * 300), number=n + 20, started_at=NOON + timedelta(days=9 + n * 9))
        for n in range(8)
    ]
    sessions = [one for one, _ in (*earlier, *later)]
    pages = text_of(season(UUID(int=7), sessions, {PISTOL: [0] * 9 + [200, 280]}, SINCE, UNTIL, BERLIN))
    together = " ".join(pages)
    assert "better than before" in together
    assert "it is probably real" in together
    assert together.count("lane-1") == 16
    assert re.search(r"58 %.*42 %", together), "where the shots went"
    alike = text_of(season(UUID(int=7), sessions[:2], {}, SINCE, UNTIL, BERLIN))
    assert "Nothing can be said about a change yet." in " ".join(alike)
    (none,) = text_of(season(UUID(int=7), [], {}, SINCE, UNTIL, BERLIN))
    assert "No session of this shooter began in that time." in none


def test_lanes_are_compared_with_intervals_where_there_are_several():
    sessions = [
        session_of(spread(20, by=5_000 + n * 500), number=n, lane=f"lane-{n % 2}", started_at=NOON + timedelta(days=n))[
            0
        ]
        for n in range(1, 9)
    ]
    document = season(UUID(int=7), sessions, {}, SINCE, UNTIL, BERLIN)
    assert "By lane" in " ".join(text_of(document))
    one_lane = season(UUID(int=7), sessions[::2], {}, SINCE, UNTIL, BERLIN)
    assert "By lane" not in " ".join(text_of(one_lane))


def test_the_clubs_report_tells_no_score_of_a_few_and_names_nobody():
    many = [session_of(spread(20, by=4_000 + n * 100), number=n, person=n)[0] for n in range(1, 6)]
    few = [session_of(spread(20), number=n, person=n, discipline="rifle-50m")[0] for n in range(11, 15)]
    document = club([*many, *few], SINCE, UNTIL, BERLIN)
    (page,) = text_of(document)
    assert re.search(r"air-pistol-10m 5 5 100 \d+\.\d\d", page)
    assert re.search(rf"rifle-50m 4 < 5 80 {d.DASH}", page)
    assert str(UUID(int=1)) not in str(document)
    (none,) = text_of(club([], SINCE, UNTIL, BERLIN))
    assert "No session began in that time." in none


def test_the_target_is_drawn_to_scale():
    session, shots = session_of([(16_000, 0), (-16_000, 0), (0, 24_000)])
    hits = list(enumerate(shots, start=1))
    drawing = target(None, hits, None)
    circles = [one for one in drawing.shapes if one["is"] == "circle"]
    right, left, top = ((one["x"], one["y"]) for one in circles)
    assert right[0] - SIDE_MM / 2 == pytest.approx(SIDE_MM / 2 - left[0])
    assert (SIDE_MM / 2 - top[1]) / (right[0] - SIDE_MM / 2) == pytest.approx(1.5), "upwards is up, and as long"
    bar = next(one for one in drawing.shapes if one["is"] == "line" and one["a"] == (0, SIDE_MM + 3.2))
    label = next(one for one in drawing.shapes if one["is"] == "text" and one["text"].endswith(" mm"))
    shown_mm = float(label["text"].removesuffix(" mm"))
    assert bar["b"][0] / shown_mm == pytest.approx((right[0] - SIDE_MM / 2) / 16)
    assert session.hits == 3


def test_nothing_is_drawn_beyond_its_ground():
    groups: list[list[tuple[int, int] | None]] = [spread(30), [(200_000, -3_000_000)], [(0, 0)], []]
    for places in groups:
        session, shots = session_of(places)
        for block in card(session, shots, BERLIN)["blocks"]:
            for part in [block, *block.get("left", ()), *block.get("right", ())]:
                if part["is"] == "drawing":
                    assert _inside(part)


def _inside(part: dict[str, Any]) -> bool:
    points = []
    for one in part["shapes"]:
        if one["is"] == "circle":
            points += [(one["x"] - one["r"], one["y"]), (one["x"] + one["r"], one["y"] + one["r"])]
        elif one["is"] == "polygon":
            points += one["points"]
        elif one["is"] == "line":
            points += [one["a"], one["b"]]
    return all(-1 <= x <= part["width"] + 1 and -1 <= y <= part["height"] + 1 for x, y in points)


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [(0, 10, 5, [0, 2, 4, 6, 8, 10]), (9.31, 9.78, 4, [9.4, 9.6]), (3, 3, 5, [3]), (-0.3, 0.4, 3, [0.0])],
)
def test_ticks_are_round_and_inside(low, high, about, expected):
    assert ticks(low, high, about) == pytest.approx(expected)


def test_numbers_are_printed_with_a_true_minus_and_no_negative_zero():
    assert d.number(-1.234) == "\N{MINUS SIGN}1.23"
    assert d.number(-0.001) == "0.00"
    assert d.number(1234.5, 1) == "1,234.5"
    assert d.number(None) == d.DASH
    assert d.interval(1, None) == d.DASH
    assert round_up(0.03) == pytest.approx(0.05)
    assert Drawing(1, 1, "").shapes == []
