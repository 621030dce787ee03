"""Any CSV: a mapping file says which column means what; pure.

    {"x": "X [mm]", "y": "Y [mm]", "unit": "mm", "number": "No", "score": "Ring", "sighter": {"column": "Typ",
     "values": ["P"]}, "time": "Time", "separator": ";", "decimal": ",", "encoding": "cp1252", "upwards": true}

Only `x` and `y` must be there. Without `number`, rows count from the top. `unit` is mm, cm, inch or um; `upwards` is
false where y grows downwards. TargetScan's export and that of Silver Mountain are mappings of ours.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.found import At, hashed, micrometres, moment, number, whole
from gateway.tracking.shots import HIGHEST_NUMBER, NotUnderstood, Sighted

UNITS_MM: Final = {"mm": Decimal(1), "cm": Decimal(10), "inch": Decimal("25.4"), "um": Decimal("0.001")}
MOST_COLUMNS: Final = 200
Column = Annotated[str, Field(min_length=1, max_length=100)]


class Marked(BaseModel):
    """Rows are meant that have one of these values in a column."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    column: Column
    values: tuple[str, ...] = Field(min_length=1, max_length=50, strict=False)


class Mapped(BaseModel):
    """Which column means what."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    x: Column
    y: Column
    unit: Literal["mm", "cm", "inch", "um"] = "mm"
    upwards: bool = True
    number: Column | None = None
    score: Column | None = None
    sighter: Marked | None = None
    skip: Marked | None = None
    time: Column | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    encoding: Literal["utf-8", "cp1252", "latin-1"] = "utf-8"
    face: str | None = None

    def cells(self, line: bytes) -> list[str]:
        """A line's cells. Raises NotUnderstood."""
        text = line.decode(self.encoding, errors="replace").strip("\r\n\ufeff")
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=self.separator), [])][:MOST_COLUMNS]
        except csv.Error:
            raise NotUnderstood("it is no row of a table") from None


TARGETSCAN: Final = Mapped(x="x", y="y", number="Shot Number", score="Score")


class Row(BaseModel):
    """What must be known to read a row again: the mapping, the header, which export it is of and where in it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    mapped: Mapped
    header: tuple[str, ...] = Field(strict=False)
    epoch: str
    at: int
    zone: str = ""


def read(raw: bytes, context: str) -> list[At]:
    """The shot in a row; `context` is a Row."""
    try:
        row = Row.model_validate_json(context)
    except ValidationError:
        return [At("", Wrong(raw, "its mapping is none"))]
    try:
        told = _sighted(raw, row)
    except NotUnderstood as error:
        return [At("", Wrong(raw, str(error)))]
    return [] if told is None else [At("", told)]


def _sighted(raw: bytes, row: Row) -> Sighted | None:
    mapped = row.mapped
    found = mapped.cells(raw)
    if not any(found):
        return None
    cells = dict(zip(row.header, found, strict=False))
    if _is(mapped.skip, cells):
        return None
    up = 1 if mapped.upwards else -1
    told = cells.get(mapped.number or "", "")
    tenths, rings, inner = (None, None, None) if mapped.score is None else score_of(cells.get(mapped.score, ""))
    at = None if mapped.time is None else moment(cells.get(mapped.time, ""), row.zone)
    return Sighted(
        number=whole(told, "number", 1, HIGHEST_NUMBER) if mapped.number else row.at,
        kind="sighter" if _is(mapped.sighter, cells) else "match",
        miss=False,
        x_um=_length(cells, mapped.x, mapped),
        y_um=up * _length(cells, mapped.y, mapped),
        elapsed_ms=None,
        face=mapped.face,
        raw_sha256=hashed(raw),
        epoch=row.epoch,
        fired_at=at,
        device_tenths=tenths,
        device_rings=rings,
        device_inner=inner,
    )


def score_of(text: str) -> tuple[int | None, int | None, bool | None]:
    """Tenths, whole rings, inner ten: of `9.8`, `8`, `10*` or `X`. What is no score is none."""
    if text.upper() == "X":
        return None, 10, True
    try:
        told = number(text.rstrip("*"), "score")
    except NotUnderstood:
        return None, None, None
    in_tenths = told * 10
    if not 0 <= in_tenths <= 109 or in_tenths != in_tenths.to_integral_value():
        return None, None, None
    inner = True if text.endswith("*") else None
    return (int(in_tenths) if "." in text else None), int(in_tenths) // 10, inner


def _length(cells: Mapping[str, str], column: str, mapped: Mapped) -> int:
    if column not in cells:
        raise NotUnderstood(f"it has no column {column}")
    return micrometres(cells[column].replace(mapped.decimal, "."), column, UNITS_MM[mapped.unit])


def _is(marked: Marked | None, cells: Mapping[str, str]) -> bool:
    return marked is not None and cells.get(marked.column) in marked.values


def header_of(mapped: Mapped, line: bytes) -> Sequence[str] | None:
    """The columns' names, if this line is the header."""
    try:
        cells = mapped.cells(line)
    except NotUnderstood:
        return None
    return cells if {mapped.x, mapped.y} <= set(cells) else None
