"""Reads files of shots: our own samples, and what the TargetScan app exports of photographed targets."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, Literal

from bus.errors import Refusal

SAMPLES: Final = Path(__file__).parent / "samples"
OURS: Final = ("kind", "x_mm", "y_mm")
TARGETSCAN: Final = ("Shot Number", "Scan Number", "Score", "x", "y")
KINDS: Final = ("sighter", "match", "miss")
FURTHEST_MM: Final = 10_000


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot to be fired: where it hits, in millimetres from the centre, x to the right, y upwards."""

    x_mm: Decimal
    y_mm: Decimal
    kind: Literal["sighter", "match"] = "match"
    miss: bool = False


def read_shots(path: Path) -> list[Shot]:
    """Read a file's shots in their order.

    Ours has the columns kind (sighter, match, miss), x_mm, y_mm; TargetScan's has Shot Number, Scan Number, Score,
    x, y, all of them match shots.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            columns = tuple(rows.fieldnames or ())
            if columns not in (OURS, TARGETSCAN):
                raise Refusal(f"{path} is no file of shots: its first line should read {','.join(OURS)}.")
            return [_shot(row, columns, f"{path}, line {rows.line_num}") for row in rows]
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise Refusal(f"{path} is no text file of shots.") from None


def _shot(row: dict[str, str], columns: tuple[str, ...], place: str) -> Shot:
    kind = row["kind"] if columns == OURS else "match"
    if kind not in KINDS:
        raise Refusal(f"{place}: a shot is one of {', '.join(KINDS)}, not {kind!r}.")
    x_mm, y_mm = (_millimetres(row[name], place) for name in columns[-2:])
    return Shot(x_mm, y_mm, "sighter" if kind == "sighter" else "match", kind == "miss")


def _millimetres(text: str | None, place: str) -> Decimal:
    try:
        length = Decimal(text or "")
    except InvalidOperation:
        raise Refusal(f"{place}: {text!r} is no length in millimetres.") from None
    if not length.is_finite() or abs(length) > FURTHEST_MM:
        raise Refusal(f"{place}: {text} is further away than ten metres.")
    return length
