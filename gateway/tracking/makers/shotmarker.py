"""ShotMarker: what its app exports, a CSV of sections or a backup that is a tar of compressed JSON; pure.

CSV: sections of `time,tags,id,score,temp C,x mm,y mm`, older ones in inches, with other rows between them and averages
at their ends. Tags tell sighters, and shots that hit nothing or were not heard whole. The score is of its own scale and
is not compared. Backup: `string-….z` are zlib JSON objects with `shots`, each with its millisecond.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.columns import Mapped
from gateway.tracking.makers.found import At, Members, hashed, members, micrometres, whole
from gateway.tracking.shots import NotUnderstood, Sighted

MOST_STRINGS: Final = 1000
MOST_STRING_BYTES: Final = 4 * 1024 * 1024
MOST_STRING_SHOTS: Final = 1000
STRING: Final = re.compile(r"(?:\./)?string-([A-Za-z0-9_-]{1,40})\.z")
NOT_WHOLE: Final = frozenset(("incomplete", "off"))
SHOT_ID: Final = re.compile(r"([LMRx]?)(S?)(\d{1,6})")  # which shooter of several on a target, sighter, number
LATEST_MS: Final = 10**14
CELLS: Final = Mapped(x="x", y="y")
INCH_MM: Final = Decimal("25.4")


@dataclass(slots=True)
class _Section:
    columns: dict[str, int]
    epoch: str


def read_csv(raw: bytes, _context: str) -> list[At]:
    """The shots in an exported CSV; the point is the shooter's letter, L, M or R, where several share a target."""
    found: list[At] = []
    section: _Section | None = None
    title = ""
    for line in raw.splitlines():
        try:
            cells = CELLS.cells(line)
        except NotUnderstood as error:
            found.append(At("", Wrong(line, str(error))))
            continue
        names = {cell.lower(): i for i, cell in enumerate(cells)}
        if "tags" in names and "id" in names:
            section = _Section(names, f"shotmarker:{hashed(title.encode())[:16]}")
        elif section is None or not any(cells):
            section, title = None, ",".join(cells) or title
        else:
            found += _row(line, cells, section)
    return found


def _row(line: bytes, cells: list[str], section: _Section) -> Iterator[At]:
    def cell(name: str) -> str:
        at = section.columns.get(name, len(cells))
        return cells[at] if at < len(cells) else ""

    known_by = SHOT_ID.fullmatch(cell("id"))
    if known_by is None:
        return  # an average, a deviation
    unit_mm = INCH_MM if "x inch" in section.columns or "x in" in section.columns else Decimal(1)
    tags = set(cell("tags").split("/"))
    shooter, sighter = known_by[1].rstrip("x"), "sighter" in tags or bool(known_by[2])
    try:
        x_um, y_um = (
            micrometres(cell(f"{axis} mm") or cell(f"{axis} inch") or cell(f"{axis} in"), axis, unit_mm)
            for axis in "xy"
        )
        told: Sighted | Wrong = Sighted(
            number=int(known_by[3]) * 2 + (1 if sighter else 2),  # sighters are numbered apart
            kind="sighter" if sighter else "match",
            miss=bool(NOT_WHOLE & tags),
            x_um=0 if NOT_WHOLE & tags else x_um,
            y_um=0 if NOT_WHOLE & tags else y_um,
            elapsed_ms=None,
            face=None,
            raw_sha256=hashed(line),
            epoch=section.epoch + shooter,
            consecutive=False,
        )
    except NotUnderstood as error:
        told = Wrong(line, str(error))
    yield At(shooter, told)


def read_tar(raw: bytes, _context: str) -> list[At]:
    """The shots in a backup, each string an epoch of its own."""
    found: list[At] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            for _, member in zip(range(MOST_STRINGS), archive, strict=False):
                named = STRING.fullmatch(member.name)
                file = archive.extractfile(member) if named and member.isfile() else None
                if named is not None and file is not None:
                    found += _string(file.read(MOST_STRING_BYTES), named[1])
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError) as error:
        found.append(At("", Wrong(raw[:200], f"it is no whole backup: {type(error).__name__}")))
    return found


def _string(packed: bytes, name: str) -> Iterator[At]:
    try:
        string = members(zlib.decompressobj().decompress(packed, MOST_STRING_BYTES))
    except zlib.error:
        string = None
    shots = None if string is None else string.get("shots")
    if not isinstance(shots, list):
        yield At("", Wrong(packed[:200], f"string {name} cannot be read"))
        return
    for index, shot in enumerate(shots[:MOST_STRING_SHOTS], 1):
        if not isinstance(shot, dict) or shot.get("hide") is True:
            continue
        try:
            told: Sighted | Wrong = _shot(shot, index, f"shotmarker:{name}", hashed(packed))
        except NotUnderstood as error:
            told = Wrong(packed[:200], f"string {name}, shot {index}: {error}")
        yield At("", told)


def _shot(shot: Members, index: int, epoch: str, known_by: str) -> Sighted:
    at_ms = whole(shot.get("ts"), "ts", 0, LATEST_MS)
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise NotUnderstood("ts is no time") from None
    return Sighted(
        number=index,
        kind="sighter" if "sighter" in str(shot.get("tags", "")) else "match",
        miss=False,
        x_um=micrometres(shot.get("x"), "x"),
        y_um=micrometres(shot.get("y"), "y"),
        elapsed_ms=None,
        face=None,
        raw_sha256=known_by,
        epoch=epoch,
        fired_at=at,
        consecutive=False,
    )
