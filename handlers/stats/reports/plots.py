"""Plots of scores: shot by shot, session by session, by ring, and one beside the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from handlers.stats.reports.document import share
from handlers.stats.reports.drawing import BLUE, GREY, INK, PALE, RUST, Drawing, ticks

WIDE: Final = 174.0
LEFT: Final = 9.0
BELOW: Final = 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A mean with its interval, if it has one, under a name."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    weight: str = ""  # how much is behind it, in words


@dataclass(frozen=True, slots=True)
class Axes:
    """Where numbers are on a drawing."""

    drawing: Drawing
    x: Callable[[float], float]
    y: Callable[[float], float]


def _axes(drawing: Drawing, x: tuple[float, float], y: tuple[float, float], *, count: int = 5) -> Axes:
    """Draws the lines of round values of y, and says where numbers are."""
    across, up = drawing.width - LEFT - 2, drawing.height - BELOW - 2
    (x0, x1), (y0, y1) = x, y

    def to_x(value: float) -> float:
        return LEFT + (value - x0) / ((x1 - x0) or 1) * across

    def to_y(value: float) -> float:
        return 2 + (1 - (value - y0) / ((y1 - y0) or 1)) * up

    for tick in ticks(y0, y1, count):
        drawing.line((LEFT, to_y(tick)), (drawing.width - 2, to_y(tick)), stroke=PALE, width=0.12)
        drawing.text(LEFT - 1.2, to_y(tick), f"{tick:g}", size=6.5, at="right", fill=GREY)
    return Axes(drawing, to_x, to_y)


def _around(values: Sequence[float], *, least: float, most: float) -> tuple[float, float]:
    """A span that has all values and some air, within bounds that no value passes."""
    low, high = min(values), max(values)
    air = max((high - low) * 0.12, 0.15)
    return max(low - air, least), min(high + air, most)


def shot_by_shot(scores: Sequence[float], series: Sequence[Bar], series_of: int) -> Drawing:
    """Each match shot's score in order, and over it each series' mean with its interval."""
    drawing = Drawing(
        WIDE, 42, f"The scores of {len(scores)} match shots in their order, with the mean of each series."
    )
    span = _around([*scores, *(one.value for one in series)], least=0, most=11)
    axes = _axes(drawing, (0.5, max(len(scores), 10) + 0.5), span)
    for n in range(series_of, len(scores), series_of):
        drawing.line((axes.x(n + 0.5), 2), (axes.x(n + 0.5), drawing.height - BELOW), stroke=PALE, width=0.12)
    for n, one in enumerate(series):
        left = axes.x(n * series_of + 0.5)
        right = axes.x(min((n + 1) * series_of, len(scores)) + 0.5)
        if one.low is not None and one.high is not None:
            top, bottom = axes.y(min(one.high, span[1])), axes.y(max(one.low, span[0]))
            drawing.box(left + 0.3, top, right - left - 0.6, bottom - top, fill=RUST + "26")
        drawing.line((left + 0.3, axes.y(one.value)), (right - 0.3, axes.y(one.value)), stroke=RUST, width=0.45)
    for n, score in enumerate(scores, start=1):
        drawing.circle(axes.x(n), axes.y(score), 0.7, fill=BLUE)
    for tick in ticks(1, len(scores), 10):
        if tick >= 1 and tick == int(tick):
            drawing.text(axes.x(tick), drawing.height - BELOW + 3, f"{tick:g}", size=6.5, fill=GREY)
    return drawing


def over_time(
    moments: Sequence[datetime], bars: Sequence[Bar], since: datetime, until: datetime, means: Sequence[Bar]
) -> Drawing:
    """Each session's mean where it stands in time, with its interval; `means` are those of the two halves."""
    drawing = Drawing(WIDE, 62, f"The mean scores of {len(bars)} sessions over time, each with its interval.")
    ends = [end for one in bars for end in (one.low, one.high, one.value) if end is not None]
    span = _around(ends, least=0, most=11)
    whole = (until - since).total_seconds()
    axes = _axes(drawing, (0, whole), span, count=6)
    for begins, label in _calendar(since, until):
        x = axes.x((begins - since).total_seconds())
        drawing.line((x, 2), (x, drawing.height - BELOW), stroke=PALE, width=0.12)
        drawing.text(x, drawing.height - BELOW + 3, label, size=6.5, fill=GREY)
    for half, one in enumerate(means):
        left, right = axes.x(whole * half / 2), axes.x(whole * (half + 1) / 2)
        drawing.line((left, axes.y(one.value)), (right, axes.y(one.value)), stroke=RUST, width=0.45)
    for moment, one in zip(moments, bars, strict=True):
        x = axes.x((moment - since).total_seconds())
        if one.low is not None and one.high is not None:
            drawing.line((x, axes.y(max(one.low, span[0]))), (x, axes.y(min(one.high, span[1]))), stroke=BLUE + "80",
                         width=0.4)  # fmt: skip
        drawing.circle(x, axes.y(one.value), 1.0, fill=BLUE, stroke="#ffffff")
    return drawing


def _calendar(since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Where months begin; in a short time, days."""
    days = (until - since).days
    first = since.replace(hour=0, minute=0, second=0, microsecond=0)
    if days > 62:
        found, month = [], first.replace(day=1)
        while month < until:
            if month >= since:
                found.append((month, f"{month:%b}" if month.month > 1 else f"{month:%Y}"))
            month = (month + timedelta(days=32)).replace(day=1)
        return found
    step = max(1, days // 8)
    return [
        (day, f"{day.day} {day:%b}")
        for n in range(0, days + 2, step)
        if since <= (day := first + timedelta(days=n)) < until
    ]


def by_ring(counts: Sequence[int], width: float = 82.0, height: float = 46.0) -> Drawing:
    """How many shots hit each ring, from 10 to 0."""
    total = sum(counts) or 1
    drawing = Drawing(width, height, "How many match shots hit each ring, from 10 down to 0.")
    step = (width - 2) / len(counts)
    highest = max(*counts, 1)
    for n, ring in enumerate(range(len(counts) - 1, -1, -1)):
        tall = counts[ring] / highest * (drawing.height - BELOW - 7)
        x = 1 + n * step
        drawing.box(x + 0.5, drawing.height - BELOW - tall, step - 1, max(tall, 0.15), fill=BLUE)
        drawing.text(x + step / 2, drawing.height - BELOW + 3, str(ring), size=7)
        if counts[ring]:
            of_all = share(counts[ring] / total)
            drawing.text(x + step / 2, drawing.height - BELOW - tall - 2.2, of_all, size=6.5, fill=GREY)
    return drawing


def side_by_side(bars: Sequence[Bar], width: float = 82.0) -> Drawing:
    """Means one under the other, each with its interval, to be compared."""
    row = 7.0
    drawing = Drawing(width, len(bars) * row + BELOW + 2, "; ".join(f"{one.name}: {one.value:.2f}" for one in bars))
    named = 34.0
    ends = [end for one in bars for end in (one.low, one.high, one.value) if end is not None]
    low, high = _around(ends, least=0, most=11)

    def to_x(value: float) -> float:
        return named + (value - low) / ((high - low) or 1) * (width - named - 4)

    for tick in ticks(low, high, 4):
        drawing.line((to_x(tick), 1), (to_x(tick), drawing.height - BELOW), stroke=PALE, width=0.12)
        drawing.text(to_x(tick), drawing.height - BELOW + 3, f"{tick:g}", size=6.5, fill=GREY)
    for n, one in enumerate(bars):
        y = 1 + (n + 0.5) * row
        drawing.text(0, y - 1.1, _shortened(one.name), size=7, at="left")
        drawing.text(0, y + 1.7, one.weight, size=5.5, at="left", fill=GREY)
        if one.low is not None and one.high is not None:
            drawing.line((to_x(one.low), y), (to_x(one.high), y), stroke=BLUE + "80", width=0.8)
        drawing.circle(to_x(one.value), y, 1.1, fill=BLUE, stroke="#ffffff")
    return drawing


def columns(values: Sequence[int], names: Sequence[str], alt: str, width: float = 82.0) -> Drawing:
    """Counts beside each other."""
    drawing = Drawing(width, 40, alt)
    step = (width - 2) / max(len(values), 1)
    highest = max([*values, 1])
    for n, (value, name) in enumerate(zip(values, names, strict=True)):
        tall = value / highest * (drawing.height - BELOW - 6)
        x = 1 + n * step
        drawing.box(x + step * 0.12, drawing.height - BELOW - tall, step * 0.76, max(tall, 0.15), fill=BLUE)
        drawing.text(x + step / 2, drawing.height - BELOW + 3, name, size=6.5, fill=INK)
        if value and step >= 5:
            drawing.text(x + step / 2, drawing.height - BELOW - tall - 2, f"{value:,}", size=6, fill=GREY)
    return drawing


def _shortened(name: str, most: int = 26) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
