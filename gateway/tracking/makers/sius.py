"""SIUS SIUSData: a file a day that grows by a row of 28 fields a shot, `;` between them and no header; pure.

Rows come out of order. Demonstration rows (`demo`, at the centre) are no shots; a shot out of time counts nothing
wherever it hit; a cross-shot and an illegal one neither, nor one that was taken back (`InsDel` 2). The divisions wrap
at 16 bits and are not needed. Names stand in another file, in Latin-1 or UTF-8; here only digits matter.

Fields by their place from 1, after dwoll/shotGroups#10 and martinfrancois/siusdata-to-postgres-adapter.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.found import At, Clocked, hashed, micrometres, number, whole, zone_of
from gateway.tracking.shots import NotUnderstood, Sighted

FIELDS: Final = 28
FILE: Final = re.compile(r"(\d{4})\d{4}\.csv")
YEAR_HUNDREDTHS: Final = 367 * 24 * 3600 * 100
FACES: Final = {64: "rifle-50m", 62: "rapid-fire-pistol-25m"}  # 63 is two faces of equal rings: the lane's
BY_LOG_TYPE: Final = {10: "cross-shot", 12: "illegal"}
INNER_TEN: Final = 100


def is_shots(name: str) -> bool:
    """Whether this is the day's file of shots, and not that of names or of changes, which it contains."""
    return FILE.fullmatch(name) is not None


def read(raw: bytes, context: str) -> list[At]:
    """The shot in a row; `context` is the file's name and the time zone of its clock, a bar between them."""
    fields = raw.decode("latin-1").strip("\r\n\0 ").split(";")
    if fields == [""]:
        return []
    if len(fields) != FIELDS:
        return [At("", Wrong(raw, f"it has {len(fields)} fields, not {FIELDS}"))]
    point = fields[3].strip()[:16]
    try:
        told = _sighted(raw, fields, context)
    except NotUnderstood as error:
        return [At(point, Wrong(raw, str(error)))]
    return [] if told is None else [At(point, told)]


def _sighted(raw: bytes, fields: list[str], context: str) -> Sighted | None:
    if whole(fields[13], "demo", 0, 1):
        return None
    file, _, zone = context.partition("|")
    at = _at(fields[22], file, zone)
    known_by = Clocked.of(at)
    score, rings = _score(fields[1], fields[4])
    invalid = BY_LOG_TYPE.get(whole(fields[21], "log type", 0, 10_000))
    if whole(fields[16], "InsDel", 0, 2) == 2:
        invalid = "taken-back"
    elif not whole(fields[10], "in time", 0, 1):
        invalid = "out-of-time"
    sighter = whole(fields[2], "match shot", 0, 9) == 0
    return Sighted(
        number=known_by.number,
        kind="sighter" if sighter else "match",
        miss=False,
        x_um=micrometres(fields[8], "x"),
        y_um=micrometres(fields[9], "y"),
        elapsed_ms=known_by.elapsed_ms,
        face=FACES.get(whole(fields[26], "target id", 0, 10_000)),
        raw_sha256=hashed(raw),
        epoch=known_by.epoch,
        fired_at=at,
        consecutive=False,
        device_tenths=None if invalid else score,
        device_rings=None if invalid else rings,
        device_inner=bool(whole(fields[7], "inner ten", 0, 1)),
        invalid=invalid,
    )


def _at(since_new_year: str, file: str, zone: str) -> datetime:
    """The file's name tells the year, the row the hundredths since it began, of the machine's wall clock."""
    named = FILE.fullmatch(file)
    if named is None:
        raise NotUnderstood("its file's name tells no day")
    hundredths = whole(since_new_year, "time since 1 January", 0, YEAR_HUNDREDTHS)
    began = datetime(max(1, int(named[1])), 1, 1)  # noqa: DTZ001 - a wall clock's
    try:
        return (began + timedelta(milliseconds=10 * hundredths)).replace(tzinfo=zone_of(zone))
    except OverflowError:
        raise NotUnderstood("its time is none") from None


def _score(primary: str, secondary: str) -> tuple[int | None, int | None]:
    """Tenths and whole rings: at 10 m the first is decimal, at 50 m it is whole and the second decimal."""
    first, second = number(primary, "primary score"), number(secondary, "secondary score")
    decimal = first if first != first.to_integral_value() or second == 0 else second
    if not 0 <= decimal * 10 <= 109 or decimal * 10 != (decimal * 10).to_integral_value():
        return None, None  # of another scale, such as a hundred rings
    found = int(decimal * 10)
    return found, int(first.to_integral_value(rounding="ROUND_FLOOR")) if Decimal(0) <= first <= 10 else found // 10
