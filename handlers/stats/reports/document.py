"""The parts of a report on paper, as report.typ sets them. All text is set as it is: nothing in it is a command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

from handlers.stats.reports.drawing import Drawing
from handlers.stats.statistics import Mean, mean_with_interval

Block = dict[str, Any]
DASH: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
PERCENT: Final = 95


def heading(text: str) -> Block:
    return {"is": "heading", "text": text}


def paragraph(text: str) -> Block:
    return {"is": "paragraph", "text": text}


def note(text: str) -> Block:
    return {"is": "note", "text": text}


def drawing(made: Drawing, caption: str) -> Block:
    return {**made.as_block(), "caption": caption}


def beside(left: Sequence[Block], right: Sequence[Block]) -> Block:
    return {"is": "beside", "left": list(left), "right": list(right)}


def figures(*items: tuple[str, str, str]) -> Block:
    """A row of large figures: each value, what it is, and a word on it."""
    return {"is": "figures", "items": [list(one) for one in items]}


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Block:
    """A table whose first column is words and whose others are numbers; its head comes again on each page."""
    return {"is": "table", "columns": list(columns), "rows": [list(row) for row in rows]}


def number(value: float | None, digits: int = 2) -> str:
    """A number as it is printed; a dash where there is none."""
    if value is None:
        return DASH
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.removeprefix("-")


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def share(part: float) -> str:
    """A part of one, in percent."""
    return f"{part * 100:.0f} %" if part >= 0.005 else "< 1 %"


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    return DASH if low is None or high is None else f"{number(low, digits)} to {number(high, digits)}"


def moment(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%d %B %Y, %H:%M}".removeprefix("0")


def day(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%d %b %Y}".removeprefix("0")


def lasted(since: datetime, until: datetime) -> str:
    minutes = round((until - since).total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def mean_of(n: int, mean: float | None, deviation: float | None) -> Mean | None:
    """The mean of n shots with its interval within the scores there are."""
    if mean is None:
        return None
    found = mean_with_interval(n, mean, deviation)
    low, high = (None if end is None else min(max(end, 0.0), 10.9) for end in (found.low, found.high))
    return Mean(found.n, found.value, low, high)
