"""The ways by which frames come, and how each is read, when it comes and again from the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from gateway.problems import Problem
from gateway.tracking import push
from gateway.tracking.frames import Frame, Wrong, read_fields
from gateway.tracking.journal import Entry
from gateway.tracking.makers import biathlon, columns, disag, megalink, shotmarker, sius
from gateway.tracking.makers.found import At
from gateway.tracking.shots import Sighted, understand

TCP: Final = "tcp"
HTTP: Final = "http"
DISAG: Final = "disag"
SIUS: Final = "sius"
MEGALINK: Final = "megalink"
BIATHLON: Final = "mqtt-biathlon"
MQTT: Final = "mqtt"
CSV: Final = "csv"
LINES: Final = "lines"
SHOTMARKER_CSV: Final = "shotmarker-csv"
SHOTMARKER_TAR: Final = "shotmarker-tar"

log = structlog.get_logger(__name__)

Read = Callable[[bytes, str], Sequence[At]]
"""Bytes, and what must be known besides -> what was found, and where."""


def _freetarget(raw: bytes, _context: str) -> Sequence[At]:
    fields = read_fields(raw)
    told = None if fields is None else understand(Frame(raw, fields))
    return [] if told is None else [At("", told)]


def _posted(raw: bytes, _context: str) -> Sequence[At]:
    try:
        read = push.read(raw)
    except Problem as problem:
        return [At("", Wrong(raw, problem.detail or problem.kind.title))]
    told: list[Sighted | Wrong] = [read.wrong] if read.wrong else list(read.shots)
    return [At("", one) for one in told]


def _line(raw: bytes, _context: str) -> Sequence[At]:
    return [At("", push.read_line(raw))] if raw.strip() else []


WAYS: Final[Mapping[str, Read]] = {
    TCP: _freetarget,
    HTTP: _posted,
    MQTT: _posted,
    LINES: _line,
    DISAG: disag.read,
    SIUS: sius.read,
    MEGALINK: megalink.read,
    BIATHLON: biathlon.read,
    CSV: columns.read,
    SHOTMARKER_CSV: shotmarker.read_csv,
    SHOTMARKER_TAR: shotmarker.read_tar,
}


def decode(entry: Entry) -> Sequence[Sighted]:
    """The shots in an entry that are its lane's; none in one that was wrong."""
    if entry.verdict != "shot":
        return []
    if entry.way not in WAYS:  # kept by a newer version
        log.error("entry.unknown-way", way=entry.way, device=entry.device, raw=entry.sha256)
        return []
    point, _, context = entry.source.partition("/")
    found = WAYS[entry.way](entry.raw, context)
    return [one.told for one in found if one.point == point and isinstance(one.told, Sighted)]
