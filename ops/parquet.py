"""The log as Parquet, a folder a day: `firingline replay --format parquet --output FOLDER`."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any, Final, NoReturn

import pyarrow as pa
import pyarrow.parquet

from bus.connection import Connection
from bus.errors import Refusal
from bus.message import Envelope
from bus.replay import Selection
from bus.replay import replay as messages

ROWS_HELD: Final = 20_000
ROWS_A_STEP: Final = 500_000
DAYS_A_STEP: Final = 31
MANIFEST: Final = "manifest.ndjson"
UNFINISHED: Final = ".unfinished"


def _field(name: str, kind: pa.DataType, about: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": about})


SCHEMA: Final = pa.schema(
    [
        _field("epoch", pa.int32(), "which life of the log; a restore to an earlier time begins another"),
        _field("position", pa.int64(), "the place in the log; the order of everything within an epoch"),
        _field("topic", pa.string(), "`telemetry` for shots, `domain` for all else"),
        _field("name", pa.string(), "the message's name, like `booking.lane-held`; docs/messages.md has them all"),
        _field("schema", pa.int16(), "the version of the body's shape"),
        _field("stream", pa.string(), "what it is about, like `booking:0192…`"),
        _field("revision", pa.int64(), "an event's number in its stream, from 1; a shot's own number", nullable=True),
        _field("id", pa.string(), "the message's id"),
        _field("cause", pa.string(), "the id of the message that led to it", nullable=True),
        _field("correlation", pa.string(), "the story it belongs to: the id of the command that began it"),
        _field("concludes", pa.string(), "the id of the command that it answers for good", nullable=True),
        _field("actor", pa.string(), "on whose authority: `person:…`, `device:…` or `service:…`"),
        _field("producer", pa.int32(), "which process appended it"),
        _field("at", pa.timestamp("us", tz="UTC"), "when, by the database's clock"),
        _field("body", pa.string(), "the body as JSON; lengths in micrometres, money in minor units"),
    ]
)
"""The columns of every file; the folder's name adds `day`, the day of `at` in UTC."""


async def write_log(connection: Connection, selection: Selection, folder: Path, epoch: int, *, resume: bool) -> int:
    """Writes the selected messages into FOLDER/day=2026-05-01/….parquet in constant memory; returns how many.

    The work is done in steps. A step's files are there, and listed in the manifest, or will be cleared away when it is
    gone on with.
    """
    done = _opened(folder, epoch, resume=resume)
    if done is not None:
        selection = replace(selection, from_position=done + 1)
    written = 0
    step = _Step(folder, epoch)
    try:
        async for envelope in messages(connection, selection):
            if step.is_full_for(envelope):
                step.finish()
                step = _Step(folder, epoch)
            step.add(envelope)
            written += 1
        step.finish()
    finally:
        step.close()
    return written


def _opened(folder: Path, epoch: int, *, resume: bool) -> int | None:
    """The last position that the folder has; what an interrupted step left is cleared away."""
    manifest = folder / MANIFEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not resume and any(folder.iterdir()):
            raise Refusal(f"{folder} is not empty: go on with it by --resume, or choose another.")
    except OSError as error:
        raise Refusal(f"{folder} cannot be written: {error.strerror}.") from error
    if not manifest.exists():
        if resume and any(folder.iterdir()):
            _refuse_foreign(folder)
        return None
    steps = [json.loads(line) for line in manifest.read_text().splitlines() if line.endswith("}")]
    if any(step["epoch"] != epoch for step in steps):
        raise Refusal(f"{folder} is of another epoch than the log's {epoch}: what it holds may have been undone.")
    known = {name for step in steps for name in step["files"]}
    for file in folder.glob("day=*/*"):
        if str(file.relative_to(folder)) not in known:
            file.unlink()
    return steps[-1]["last"] if steps else None


def _refuse_foreign(folder: Path) -> NoReturn:
    raise Refusal(f"{folder} has no {MANIFEST}: it is none of such a replay.")


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    writer: pa.parquet.ParquetWriter


class _Step:
    """The files of one step: a file a day, renamed and listed together when the step is done."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self._folder = folder
        self._epoch = epoch
        self._held: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._count = 0
        self._days: set[str] = set()
        self._files: dict[str, _File] = {}
        self._first = self._last = -1

    def is_full_for(self, envelope: Envelope) -> bool:
        day = _day(envelope)
        days = len(self._days) + (day not in self._days)
        return self._count >= ROWS_A_STEP or days > DAYS_A_STEP

    def finish(self) -> None:
        """Writes what is held and gives the files their names."""
        self._write()
        self.close()
        if self._files:
            self._list()

    def close(self) -> None:
        for file in self._files.values():
            file.writer.close()

    def add(self, envelope: Envelope) -> None:
        if self._first < 0:
            self._first = envelope.position
        self._last = envelope.position
        day = _day(envelope)
        self._days.add(day)
        self._held[day].append(_row(envelope, self._epoch))
        self._count += 1
        if self._count % ROWS_HELD == 0:
            self._write()

    def _write(self) -> None:
        for day, rows in self._held.items():
            self._of(day).writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
        self._held.clear()

    def _of(self, day: str) -> _File:
        if day not in self._files:
            path = self._folder / f"day={day}" / f"{self._first:015d}.parquet"
            path.parent.mkdir(exist_ok=True)
            writer = pa.parquet.ParquetWriter(path.with_suffix(UNFINISHED), SCHEMA, compression="zstd")
            self._files[day] = _File(path, writer)
        return self._files[day]

    def _list(self) -> None:
        for file in self._files.values():
            _sync(file.path.with_suffix(UNFINISHED))
            file.path.with_suffix(UNFINISHED).rename(file.path)
        names = sorted(str(file.path.relative_to(self._folder)) for file in self._files.values())
        with (self._folder / MANIFEST).open("a") as manifest:
            line = {"epoch": self._epoch, "first": self._first, "last": self._last, "files": names}
            manifest.write(f"{json.dumps(line)}\n")
            manifest.flush()
            os.fsync(manifest.fileno())


def _sync(path: Path) -> None:
    """On the disk before it has its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _day(envelope: Envelope) -> str:
    return f"{envelope.at.astimezone(UTC):%Y-%m-%d}"


def _row(envelope: Envelope, epoch: int) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "position": envelope.position,
        "topic": envelope.topic,
        "name": envelope.name,
        "schema": envelope.schema,
        "stream": envelope.stream,
        "revision": envelope.revision,
        "id": str(envelope.id),
        "cause": None if envelope.cause is None else str(envelope.cause),
        "correlation": str(envelope.correlation),
        "concludes": None if envelope.concludes is None else str(envelope.concludes),
        "actor": envelope.actor,
        "producer": envelope.producer,
        "at": envelope.at,
        "body": envelope.body,
    }
