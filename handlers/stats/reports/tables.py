"""Reports as tables, for spreadsheets and analysts: the same columns in CSV and in Parquet.

Every column says its unit, and in Parquet what it means. Times are UTC.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from handlers.stats.events import ReportFormat
from handlers.stats.reports.reading import Session, Shot

MOMENT: Final = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, about: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": about})


SESSIONS: Final = pa.schema(
    [
        _field("session", pa.string(), "the session's id, which is the booking's"),
        _field("lane", pa.string(), "where it was shot"),
        _field("discipline", pa.string(), "which also names the face"),
        _field("started_at", MOMENT, "when it began"),
        _field("finished_at", MOMENT, "when it was finished; none while it is being shot", nullable=True),
        _field("shots", pa.int32(), "match shots, misses among them"),
        _field("misses", pa.int32(), "match shots that the target could not place"),
        _field("sighters", pa.int32(), "shots that do not count"),
        _field("score", pa.float64(), "the decimal score's sum, in rings"),
        _field("integer_score", pa.int32(), "the sum of whole rings"),
        _field("inner_tens", pa.int32(), "inner tens"),
        _field("mean_score", pa.float64(), "rings a match shot", nullable=True),
        _field("score_deviation", pa.float64(), "standard deviation of the shots' scores, in rings", nullable=True),
        _field("mean_radius_mm", pa.float64(), "mean distance of the hits from their centre", nullable=True),
        _field("extreme_spread_mm", pa.float64(), "largest distance between two hits", nullable=True),
    ]
)
SHOTS: Final = pa.schema(
    [
        _field("session", pa.string(), "the session it was fired in"),
        _field("discipline", pa.string(), "which also names the face"),
        _field("lane", pa.string(), "where it was fired"),
        _field("ordinal", pa.int32(), "its place in the session, from 1"),
        _field("device", pa.string(), "the target that reported it"),
        _field("number", pa.int64(), "the target's own number"),
        _field("received_at", MOMENT, "when it came"),
        _field("elapsed_s", pa.float64(), "the target's clock since its session began", nullable=True),
        _field("kind", pa.string(), "match or sighter"),
        _field("miss", pa.bool_(), "whether the target heard it and could not place it"),
        _field("x_mm", pa.float64(), "from the target's centre, to the right; none for a miss", nullable=True),
        _field("y_mm", pa.float64(), "from the target's centre, upwards; none for a miss", nullable=True),
        _field("score", pa.float64(), "in rings; none where no face is known", nullable=True),
        _field("inner_ten", pa.bool_(), "whether it is an inner ten"),
    ]
)


def of_sessions(found: Sequence[Session]) -> pa.Table:
    """A row a session; it names no person."""
    return pa.Table.from_pylist([_session(one) for one in found], SESSIONS)


def of_shots(found: Sequence[Session], shots: Sequence[Shot]) -> pa.Table:
    """A row a shot, in the order given, which is that of their sessions."""
    by_id = {one.session: one for one in found}
    counted: dict[Any, int] = {}
    rows = []
    for shot in shots:
        counted[shot.session] = counted.get(shot.session, 0) + 1
        rows.append(_shot(by_id[shot.session], shot, counted[shot.session]))
    return pa.Table.from_pylist(rows, SHOTS)


def written(table: pa.Table, as_: ReportFormat) -> bytes:
    """The table as a file."""
    file = io.BytesIO()
    if as_ == "csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def _session(one: Session) -> dict[str, Any]:
    return {
        "session": str(one.session),
        "lane": one.lane,
        "discipline": one.discipline,
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "shots": one.shots,
        "misses": one.misses,
        "sighters": one.sighters,
        "score": one.score_tenths / 10,
        "integer_score": one.integer_score,
        "inner_tens": one.inner_tens,
        "mean_score": one.mean,
        "score_deviation": one.deviation,
        "mean_radius_mm": None if one.mean_radius_um is None else one.mean_radius_um / 1000,
        "extreme_spread_mm": None if one.extreme_spread_um is None else one.extreme_spread_um / 1000,
    }


def _shot(session: Session, shot: Shot, ordinal: int) -> dict[str, Any]:
    return {
        "session": str(shot.session),
        "discipline": session.discipline,
        "lane": session.lane,
        "ordinal": ordinal,
        "device": shot.device,
        "number": shot.number,
        "received_at": shot.received_at,
        "elapsed_s": None if shot.elapsed_ms is None else shot.elapsed_ms / 1000,
        "kind": shot.kind,
        "miss": shot.miss,
        "x_mm": None if shot.miss else shot.x_um / 1000,
        "y_mm": None if shot.miss else shot.y_um / 1000,
        "score": None if shot.score_tenths is None else shot.score_tenths / 10,
        "inner_ten": shot.inner_ten,
    }
