"""Vector drawings: shapes in millimetres from the upper left corner, which report.typ sets on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any, Final, Literal

INK: Final = "#1c2733"
GREY: Final = "#8a949e"
PALE: Final = "#d9dee3"
PAPER: Final = "#f5f6f4"
BLUE: Final = "#1f5f8b"
RUST: Final = "#b8492f"
SAND: Final = "#e3b23c"
GREEN: Final = "#4a7c59"
SERIES: Final = (BLUE, RUST, GREEN, SAND, "#6b4c8a", "#2a8c8c")

Anchor = Literal["left", "center", "right"]
Point = tuple[float, float]


@dataclass
class Drawing:
    """Shapes on a ground of so many millimetres. `alt` says in words what is to be seen."""

    width: float
    height: float
    alt: str
    shapes: list[dict[str, Any]] = field(default_factory=list)

    def circle(
        self, x: float, y: float, r: float, *, fill: str | None = None, stroke: str | None = None, width: float = 0.15
    ) -> None:
        self.shapes.append({"is": "circle", "x": x, "y": y, "r": r, "fill": fill, "stroke": stroke, "width": width})

    def line(self, a: Point, b: Point, *, stroke: str = GREY, width: float = 0.15, dash: bool = False) -> None:
        self.shapes.append({"is": "line", "a": a, "b": b, "stroke": stroke, "width": width, "dash": dash})

    def polygon(
        self, points: Sequence[Point], *, fill: str | None = None, stroke: str | None = None, width: float = 0.15
    ) -> None:
        self.shapes.append({"is": "polygon", "points": points, "fill": fill, "stroke": stroke, "width": width})

    def box(self, x: float, y: float, width: float, height: float, *, fill: str) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], fill=fill)

    def text(
        self, x: float, y: float, text: str, *, size: float = 7, at: Anchor = "center", fill: str = INK,
        bold: bool = False,
    ) -> None:  # fmt: skip
        """A line of text whose middle (or end) is at x, and whose height's middle is at y; `size` in points."""
        self.shapes.append(
            {"is": "text", "x": x, "y": y, "text": text, "size": size, "at": at, "fill": fill, "bold": bold}
        )

    def as_block(self) -> dict[str, Any]:
        return {"is": "drawing", "width": self.width, "height": self.height, "alt": self.alt, "shapes": self.shapes}


def ticks(low: float, high: float, about: int) -> list[float]:
    """About so many round numbers (1, 2 or 5 times a power of ten) that lie within [low, high]."""
    if high <= low:
        return [low]
    step = round_up((high - low) / max(about, 1))
    first = -floor(-low / step)
    return [round(n * step, 10) for n in range(first, floor(high / step + 1e-9) + 1)]


def round_up(length: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not less."""
    power = 10.0 ** floor(log10(length))
    return next(one * power for one in (1.0, 2.0, 5.0, 10.0) if one * power >= length * (1 - 1e-9))
