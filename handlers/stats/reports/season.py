"""The report of a shooter's season: how it went, whether anything changed, and each session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from statistics import fmean, stdev
from typing import Any, Final
from uuid import UUID

from handlers.stats.change import FEWEST_SHOTS, compare
from handlers.stats.reports import document as d
from handlers.stats.reports.plots import Bar, by_ring, over_time, side_by_side
from handlers.stats.reports.reading import Session
from handlers.stats.statistics import mean_with_interval

MOST_DISCIPLINES: Final = 8
MOST_LISTED: Final = 500
WORDS: Final = (
    "An interval holds the true mean in 95 of 100 such reports. Where sessions are compared, each counts once: the "
    "shots of a day go together."
)


def season(
    person: UUID,
    sessions: Sequence[Session],
    rings: Mapping[str, Sequence[int]],
    since: datetime,
    until: datetime,
    zone: tzinfo,
) -> dict[str, Any]:
    """The document of a shooter's sessions that began within [since, until); `rings` are counts by discipline."""
    of_discipline: dict[str, list[Session]] = defaultdict(list)
    for one in sessions:
        of_discipline[one.discipline].append(one)
    most_shot = sorted(of_discipline, key=lambda name: (-sum(one.shots for one in of_discipline[name]), name))
    blocks = [_total(sessions), *_compared(of_discipline)]
    for name in most_shot[:MOST_DISCIPLINES]:
        blocks += _discipline(name, of_discipline[name], rings.get(name, ()), since, until, zone)
    if not sessions:
        blocks.append(d.paragraph("No session of this shooter began in that time."))
    else:
        blocks += [d.heading("Sessions"), _listed(sessions, zone), d.paragraph(WORDS)]
    return {
        "title": "Season report",
        "subtitle": f"{d.day(since, zone)} to {d.day(until, zone)}",
        "facts": [
            ["Shooter", str(person)],
            ["Disciplines", ", ".join(most_shot) or "none"],
            ["Times", str(zone)],
        ],
        "blocks": blocks,
    }


def _total(sessions: Sequence[Session]) -> d.Block:
    shots = sum(one.shots for one in sessions)
    scored = [one for one in sessions if one.mean is not None]
    mean = sum(one.score_tenths for one in scored) / 10 / sum(one.shots for one in scored) if scored else None
    days = len({one.started_at.date() for one in sessions})
    best = max((one for one in scored if one.shots >= FEWEST_SHOTS), key=lambda one: one.mean or 0.0, default=None)
    return d.figures(
        (str(len(sessions)), "sessions", f"on {d.counted(days, 'day')}"),
        (f"{shots:,}", "match shots", f"{sum(one.misses for one in sessions):,} missed"),
        (d.number(mean), "rings a shot", "over all shots" if scored else "nothing was scored"),
        (d.number(best.mean if best else None), "best session", best.discipline if best else
         f"none of {FEWEST_SHOTS} shots"),
    )  # fmt: skip


def _compared(of_discipline: dict[str, list[Session]]) -> list[d.Block]:
    return groups_compared("By lane", [one for found in of_discipline.values() for one in found], lambda one: one.lane)


def groups_compared(title: str, sessions: Sequence[Session], key: Callable[[Session], str]) -> list[d.Block]:
    """The means of groups of sessions of one discipline beside each other; nothing where there is only one group."""
    disciplines = {one.discipline for one in sessions}
    if len(disciplines) != 1:
        return []
    grouped: dict[str, list[float]] = defaultdict(list)
    for one in sessions:
        if one.mean is not None and one.shots >= FEWEST_SHOTS:
            grouped[key(one)].append(one.mean)
    if len(grouped) < 2:
        return []
    bars = [bar_of(name, means) for name, means in sorted(grouped.items())]
    return [
        d.heading(title),
        d.drawing(side_by_side(bars[:12], width=120.0), "Means of sessions, and their intervals."),
    ]


def bar_of(name: str, means: Sequence[float]) -> Bar:
    """The mean of sessions' means, with Student's interval."""
    found = mean_with_interval(len(means), fmean(means), stdev(means) if len(means) > 1 else None)
    low, high = (None if end is None else min(max(end, 0.0), 10.9) for end in (found.low, found.high))
    return Bar(name, found.value, low, high, d.counted(len(means), "session"))


def _discipline(
    name: str, sessions: Sequence[Session], rings: Sequence[int], since: datetime, until: datetime, zone: tzinfo
) -> list[d.Block]:
    counted = [one for one in sessions if one.mean is not None]
    if not counted:
        unknown = "No face is known for this discipline: its shots have no scores."
        fired = any(one.shots for one in sessions)
        return [d.heading(name), d.paragraph(unknown if fired else "No match shot was fired.")]
    means = [one.mean or 0.0 for one in counted]
    bars = [_session_bar(one) for one in counted]
    middle = since + (until - since) / 2
    long = [one for one in counted if one.shots >= FEWEST_SHOTS]
    change = compare(
        [one.mean or 0.0 for one in long if one.started_at < middle],
        [one.mean or 0.0 for one in long if one.started_at >= middle],
    )
    halves = [
        bar_of("", [one.mean or 0.0 for one in long if (one.started_at >= middle) == later])
        for later in (False, True)
        if any((one.started_at >= middle) == later for one in long)
    ]
    plotted = over_time(
        [one.started_at.astimezone(zone) for one in counted],
        bars,
        since.astimezone(zone),
        until.astimezone(zone),
        halves if len(halves) == 2 else [],
    )
    spread = stdev(means) if len(means) > 1 else None
    said = f"From session to session the mean varies by {d.number(spread)} rings a shot (standard deviation)."
    return [
        d.heading(name),
        d.drawing(plotted, "Each session's mean score in rings a shot, with its interval; the lines are the means of "
                  "the time's two halves."),
        d.beside(
            [d.paragraph(change.in_words), *([] if spread is None else [d.paragraph(said)])],
            [d.drawing(by_ring(rings), "Where the match shots went.")] if rings else [],
        ),
    ]  # fmt: skip


def _session_bar(one: Session) -> Bar:
    mean = d.mean_of(one.shots, one.mean, one.deviation)
    assert mean is not None
    return Bar(str(one.session), mean.value, mean.low, mean.high)


def _listed(sessions: Sequence[Session], zone: tzinfo) -> d.Block:
    rows = [
        [
            d.moment(one.started_at, zone),
            one.discipline,
            one.lane,
            f"{one.shots}",
            d.number(one.score_tenths / 10, 1),
            d.number(one.mean),
            d.number(None if one.mean_radius_um is None else one.mean_radius_um / 1000),
        ]
        for one in sessions[-MOST_LISTED:]
    ]
    columns = ["Begun", "Discipline", "Lane", "Shots", "Decimal", "Mean", "Mean radius, mm"]
    return {**d.table(columns, rows), "words": 3}
