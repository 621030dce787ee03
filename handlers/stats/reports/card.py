"""The card of one session: the target, the series, and what the group says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from statistics import fmean, stdev
from typing import Any, Final

from handlers.stats.faces import FACES, Face
from handlers.stats.groups.angles import moa, mrad
from handlers.stats.groups.description import Description, describe
from handlers.stats.groups.figures import Figure
from handlers.stats.reports import document as d
from handlers.stats.reports.plots import Bar, by_ring, shot_by_shot
from handlers.stats.reports.reading import Session, Shot
from handlers.stats.reports.target import SERIES_OF, target

CONFIDENCE: Final = d.PERCENT / 100
MOST_DRAWN: Final = 1_000
UM_PER_M: Final = 1_000_000
WORDS: Final = (
    "An interval holds the true value of everything that is shot this way in 95 of 100 such cards. A few shots say "
    "little: the fewer they are, the wider it is. Lengths are measured between the centres of the holes."
)


def card(session: Session, shots: Sequence[Shot], zone: tzinfo) -> dict[str, Any]:
    """The document of a session's card."""
    face = FACES.get(session.discipline)
    match = [shot for shot in shots if shot.kind == "match"]
    hits = [(n, shot) for n, shot in enumerate(match, start=1) if not shot.miss]
    group = (
        describe([one.x_um for _, one in hits], [one.y_um for _, one in hits], confidence=CONFIDENCE) if hits else None
    )
    return {
        "title": "Session card",
        "subtitle": f"{session.discipline} on {session.lane}",
        "facts": _facts(session, face, zone),
        "blocks": [
            _total(session, match),
            d.beside(
                [d.drawing(target(face, hits[:MOST_DRAWN], group), _caption(len(hits), group))],
                [_measures(group, face), *_rings(match), d.note(WORDS)],
            ),
            *_series(match),
        ],
    }


def _facts(session: Session, face: Face | None, zone: tzinfo) -> list[list[str]]:
    shot = d.moment(session.started_at, zone)
    lasted = "still being shot" if session.finished_at is None else d.lasted(session.started_at, session.finished_at)
    return [
        ["Shooter", f"{session.person}"],
        ["Begun", f"{shot} ({zone})"],
        ["Lasted", lasted],
        ["Distance", "not known" if face is None else f"{face.distance_m} m"],
    ]


def _total(session: Session, match: Sequence[Shot]) -> d.Block:
    counted = (str(session.shots), "match shots", f"{session.misses} missed, {session.sighters} sighters")
    scores = _scores(match)
    if not scores:
        why = "no face is known for it" if match else "no shot yet"
        return d.figures(*((d.DASH, name, why) for name in ("decimal score", "rings a shot", "inner tens")), counted)
    mean = d.mean_of(len(scores), fmean(scores), stdev(scores) if len(scores) > 1 else None)
    assert mean is not None
    reach = "too few for an interval" if mean.low is None else f"{d.PERCENT} %: {d.interval(mean.low, mean.high)}"
    return d.figures(
        (d.number(session.score_tenths / 10, 1), "decimal score", f"{session.integer_score} in whole rings"),
        (d.number(mean.value), "rings a shot", reach),
        (str(session.inner_tens), "inner tens", f"{d.share(session.inner_tens / len(scores))} of the shots"),
        counted,
    )


def _scores(match: Sequence[Shot]) -> list[float]:
    """The scores in rings of the shots that have one; where no face is known, none has."""
    return [shot.score_tenths / 10 for shot in match if shot.score_tenths is not None]


def _caption(hits: int, group: Description | None) -> str:
    if group is None:
        return "No match shot has hit the target."
    drawn = f"The first {MOST_DRAWN} of {hits} hits" if hits > MOST_DRAWN else "Holes"
    words = f"{drawn} are drawn to scale, a colour for each series of ten. The cross is the group's centre"
    if isinstance(group.ellipse, str):
        return f"{words}."
    return f"{words}; the ellipse holds {d.PERCENT} % of such shots."


def _measures(group: Description | None, face: Face | None) -> d.Block:
    if group is None:
        return d.paragraph("A group has no measures without a hit.")
    away_um = None if face is None else face.distance_m * UM_PER_M

    def row(name: str, figure: Figure) -> list[str]:
        value = figure.value

        def angle(of: Callable[[float, float], float]) -> str:
            return d.DASH if value is None or away_um is None else d.number(of(value, away_um))

        return [
            name,
            d.number(_mm(value)),
            d.interval(_mm(figure.low), _mm(figure.high)),
            angle(moa),
            angle(mrad),
        ]

    shares = {error.share: error.rayleigh for error in group.circular_errors}
    table = d.table(
        ["Measure", "mm", f"{d.PERCENT} % interval", "MOA", "mrad"],
        [
            row("Centre to the right", group.centre_x),
            row("Centre upwards", group.centre_y),
            row("Off the aim", group.offset),
            row("Deviation across", group.deviation_x),
            row("Deviation upwards", group.deviation_y),
            row("Mean radius", group.mean_radius),
            row("Extreme spread", group.extreme_spread),
            row("Sigma (Rayleigh)", group.sigma),
            row("50 % of shots within", shares[0.5]),
            row("95 % of shots within", shares[0.95]),
        ],
    )
    return {**table, "size": 7.5}


def _mm(length_um: float | None) -> float | None:
    return None if length_um is None else length_um / 1000


def _rings(match: Sequence[Shot]) -> list[d.Block]:
    scores = _scores(match)
    if not scores:
        return []
    rings = [int(score) for score in scores]
    counts = [rings.count(ring) for ring in range(11)]
    return [d.drawing(by_ring(counts, width=83.0, height=36.0), "Where the match shots went, by ring.")]


def _series(match: Sequence[Shot]) -> list[d.Block]:
    if not match:
        return [d.heading("Series"), d.paragraph("No match shot has been fired in this session.")]
    scores = _scores(match)
    if len(scores) < len(match):
        return [d.heading("Series"), d.paragraph("No face is known for this discipline: its shots have no scores.")]
    parts = [match[n : n + SERIES_OF] for n in range(0, len(match), SERIES_OF)]
    bars = [_bar(n, part) for n, part in enumerate(parts, start=1)]
    rows = [
        [
            str(n),
            "  ".join(_score(shot) for shot in part),
            str(sum((shot.score_tenths or 0) // 10 for shot in part)),
            d.number(sum(shot.score_tenths or 0 for shot in part) / 10, 1),
            str(sum(shot.inner_ten for shot in part)),
        ]
        for n, part in enumerate(parts, start=1)
    ]
    return [
        d.heading("Series"),
        d.drawing(
            shot_by_shot(scores, bars, SERIES_OF),
            f"Each match shot's score in its order; the lines are the series' means, their bands the {d.PERCENT} % "
            "intervals.",
        ),
        {**d.table(["Series", "Shots", "Rings", "Decimal", "Inner tens"], rows), "wide": 1},
    ]


def _bar(ordinal: int, part: Sequence[Shot]) -> Bar:
    scores = _scores(part)
    mean = d.mean_of(len(scores), fmean(scores), stdev(scores) if len(scores) > 1 else None)
    assert mean is not None
    return Bar(str(ordinal), mean.value, mean.low, mean.high)


def _score(shot: Shot) -> str:
    if shot.miss:
        return "miss"
    if shot.score_tenths is None:
        return d.DASH
    return f"{shot.score_tenths / 10:.1f}{'*' if shot.inner_ten else ''}"
