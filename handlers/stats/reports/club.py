"""The club's report: how much was shot, when, where and how well. It names nobody and tells nothing of a few."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from statistics import fmean
from typing import Any, Final

from handlers.stats.change import FEWEST_SHOTS
from handlers.stats.privacy import FEWEST_PEOPLE
from handlers.stats.reports import document as d
from handlers.stats.reports.plots import columns, side_by_side
from handlers.stats.reports.reading import Session
from handlers.stats.reports.season import bar_of

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_ROWS: Final = 60


def club(sessions: Sequence[Session], since: datetime, until: datetime, zone: tzinfo) -> dict[str, Any]:
    """The document of all sessions that began within [since, until)."""
    shots = sum(one.shots for one in sessions)
    people = len({one.person for one in sessions})
    blocks: list[d.Block] = [
        d.figures(
            (f"{len(sessions):,}", "sessions", f"on {d.counted(len({_day(one, zone) for one in sessions}), 'day')}"),
            (_at_least(people), "shooters", "each counted once"),
            (f"{shots:,}", "match shots", f"{sum(one.sighters for one in sessions):,} sighters besides"),
            (f"{len({one.lane for one in sessions})}", "lanes", "on which there were sessions"),
        )
    ]
    if not sessions:
        blocks.append(d.paragraph("No session began in that time."))
    else:
        blocks += [*_when(sessions, zone), *_disciplines(sessions), *_lanes(sessions)]
    return {
        "title": "Club report",
        "subtitle": f"{d.day(since, zone)} to {d.day(until, zone)}",
        "facts": [["Times", str(zone)]],
        "blocks": blocks,
    }


def _day(one: Session, zone: tzinfo) -> str:
    return f"{one.started_at.astimezone(zone):%Y-%m-%d}"


def _at_least(people: int) -> str:
    return f"{people:,}" if people >= FEWEST_PEOPLE or not people else f"< {FEWEST_PEOPLE}"


def _when(sessions: Sequence[Session], zone: tzinfo) -> list[d.Block]:
    local = [one.started_at.astimezone(zone) for one in sessions]
    days, hours = Counter(at.weekday() for at in local), Counter(at.hour for at in local)
    first, last = min(hours), max(hours)
    span = range(first, last + 1)
    return [
        d.heading("When it was shot"),
        d.beside(
            [d.drawing(columns([days[n] for n in range(7)], WEEKDAYS, "Sessions by day of the week."),
                       "Sessions by day of the week.")],
            [d.drawing(columns([hours[n] for n in span], [str(n) for n in span], "Sessions by hour of the day."),
                       "Sessions by the hour in which they began.")],
        ),
    ]  # fmt: skip


def _disciplines(sessions: Sequence[Session]) -> list[d.Block]:
    grouped: dict[str, list[Session]] = defaultdict(list)
    for one in sessions:
        grouped[one.discipline].append(one)
    rows, bars = [], []
    for name, found in sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0])):
        people = len({one.person for one in found})
        means = _means_of_people(found)
        enough = len(means) >= FEWEST_PEOPLE
        rows.append([
            name,
            f"{len(found):,}",
            _at_least(people),
            f"{sum(one.shots for one in found):,}",
            d.number(fmean(means)) if enough else d.DASH,
        ])  # fmt: skip
        if enough:
            bars.append(replace(bar_of(name, means), weight=d.counted(len(means), "shooter")))
    return [
        d.heading("Disciplines"),
        d.table(["Discipline", "Sessions", "Shooters", "Match shots", "Rings a shot"], rows[:MOST_ROWS]),
        *([d.drawing(side_by_side(bars, width=140.0),
                     "The mean of the shooters' means in rings a shot, each shooter once, with its 95 % interval.")]
          if bars else []),
        d.paragraph(
            f"Scores are told where at least {FEWEST_PEOPLE} shooters fired {FEWEST_SHOTS} match shots or more in one "
            "session."
        ),
    ]  # fmt: skip


def _means_of_people(sessions: Sequence[Session]) -> list[float]:
    """Each shooter's mean over sessions of shots enough."""
    of_person: dict[object, list[float]] = defaultdict(list)
    for one in sessions:
        if one.mean is not None and one.shots >= FEWEST_SHOTS:
            of_person[one.person].append(one.mean)
    return [fmean(means) for means in of_person.values()]


def _lanes(sessions: Sequence[Session]) -> list[d.Block]:
    grouped: dict[str, list[Session]] = defaultdict(list)
    for one in sessions:
        grouped[one.lane].append(one)
    rows = []
    for name, found in sorted(grouped.items()):
        finished = [(one.finished_at - one.started_at).total_seconds() / 3600 for one in found if one.finished_at]
        rows.append([
            name,
            f"{len(found):,}",
            d.number(sum(finished), 1),
            f"{sum(one.shots + one.sighters for one in found):,}",
            f"{sum(one.misses for one in found):,}",
        ])  # fmt: skip
    return [d.heading("Lanes"), d.table(["Lane", "Sessions", "Hours", "Shots", "Missed"], rows[:MOST_ROWS])]
