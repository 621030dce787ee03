"""The journal: what targets sent, byte for byte and in order, on this machine's disk before anything else is done.

An entry is on the disk before its frame is acknowledged or goes on to the log, and stays there until the log has it:
with the database away the journal fills, and drains in order afterwards. Frames may carry names, so they stay off the
log, which only has their hash; here they are encrypted, and kept for as long as there is room, to be read again.

It is a folder of segments. Each is written by one process, which holds a lock on it; those of a process that is gone
are taken over by the next. How far each has been drained stands in the database (tracking.journal_segment), moved in
the transaction that records its shots: after a crash nothing is left out and nothing done twice. There are never more
than SEGMENTS of one process: the oldest drained one makes room for the next, and if none is drained, the journal is
full.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from bus.errors import Refusal
from gateway.tracking.frames import Wrong
from gateway.tracking.sealed import NotSealed, Reading, SealedFile, file_id, load_or_make_key, sync_folder

SEGMENT_BYTES: Final = 16 * 1024 * 1024
SEGMENTS: Final = 16
READ_TOGETHER: Final = 1000
READ_AGAIN_S: Final = 0.2  # after the disk said no

log = structlog.get_logger(__name__)


class JournalFull(Exception):  # noqa: N818 - a state, not a fault
    """There is no room for another segment, since none of those there is drained."""


class Place(NamedTuple):
    """Where an entry stands."""

    segment: UUID
    entry: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes as they came: from which device, for which lane, by which way, when, and what was made of them.

    `live` means just fired, and not possibly repeated from a target's store. `at` is the database's clock; None: it was
    not known. `face` is the lane's, for a target that does not say what it shows.
    """

    device: str
    lane: str
    way: str
    at: datetime | None
    raw: bytes
    live: bool = True
    face: str | None = None
    actor: str = "service:gateway"
    source: str = ""
    verdict: str = "shot"

    @staticmethod
    def verdict_of(told: object) -> str:
        return f"wrong: {told.reason}" if isinstance(told, Wrong) else "shot"

    @property
    def sha256(self) -> str:
        return sha256(self.raw).hexdigest()

    def encoded(self) -> bytes:
        at = self.at and self.at.isoformat()
        told = [self.device, self.lane, self.way, at, self.live, self.face, self.actor, self.source, self.verdict]
        return json.dumps(told).encode() + b"\n" + self.raw

    @classmethod
    def decoded(cls, record: bytes) -> Entry:
        told, _, raw = record.partition(b"\n")
        device, lane, way, at, live, face, actor, source, verdict = json.loads(told)
        moment = None if at is None else datetime.fromisoformat(at)
        return cls(device, lane, way, moment, raw, live, face, actor, source, verdict)


@dataclass(slots=True)
class _Segment:
    """A file of the journal. What is below `taken` was handed on, what is below `drained` is in the log."""

    id: UUID
    path: Path
    written: int | None  # None: to be found out by reading to its end
    taken: int = 0
    drained: int = 0
    lock: int | None = None  # of one that was taken over
    reading: Reading | None = None

    @property
    def unread(self) -> bool:
        return self.written is None or self.taken < self.written

    @property
    def done(self) -> bool:
        return self.written is not None and self.drained >= self.written


class Journal:
    """This process's segments. What touches the disk blocks, and is called in a thread; nothing else waits for it."""

    def __init__(
        self, folder: Path, key_file: Path, *, segment_bytes: int = SEGMENT_BYTES, segments: int = SEGMENTS
    ) -> None:
        self._folder = folder
        self._key_file = key_file
        self._segment_bytes = segment_bytes
        self._most = segments
        self._writes = threading.Lock()  # held for as long as the disk takes
        self._lists = threading.Lock()  # never held for long
        self._segments: list[_Segment] = []  # the oldest first
        self._writing: tuple[_Segment, SealedFile] | None = None
        self._forgotten: list[UUID] = []

    def keep(self, entries: Sequence[Entry]) -> list[Place]:
        """Appends entries and sees them onto the disk; JournalFull or OSError: none of them counts as kept."""
        with self._writes:
            if self._writing is None or self._writing[1].size >= self._segment_bytes:
                self._rotate()
            assert self._writing is not None
            segment, file = self._writing
            first = file.count
            try:
                file.append([entry.encoded() for entry in entries])
            except OSError:
                self._end_writing()  # what stands behind a record cut short cannot be read
                raise
            return [Place(segment.id, first + i) for i in range(len(entries))]

    def hand_on(self, places: Sequence[Place], *, taken: bool) -> None:
        """These were kept, in this order; `taken`: whoever kept them sees to them, else `read` gives them again."""
        ends = {place.segment: place.entry + 1 for place in places}
        for segment in self._all():
            if segment.id in ends:
                segment.written = ends[segment.id]
                if taken:
                    segment.taken = segment.written

    @property
    def unread(self) -> bool:
        """Whether there is something to read."""
        return any(segment.unread for segment in self._all())

    @property
    def undrained(self) -> int:
        """How many entries are not in the log yet, of the segments that were read to their end."""
        return sum(segment.written - segment.drained for segment in self._all() if segment.written is not None)

    def read(self, most: int = READ_TOGETHER) -> list[tuple[Place, Entry]]:
        """The next entries that nobody has taken, the oldest first; for one reader at a time."""
        for segment in self._all():
            if segment.unread and ((found := self._read(segment, most)) or segment.unread):
                return found  # nothing, if it cannot be read now: what is behind it waits
        return []

    def drained(self, ends: Mapping[UUID, int]) -> None:
        """What is below these is in the log."""
        for segment in self._all():
            segment.drained = max(segment.drained, ends.get(segment.id, 0))

    def adopt(self) -> list[UUID]:
        """Takes over segments that no living process holds. They are read from `begin` on."""
        known = {segment.path for segment in self._all()}
        return [s.id for path in files(self._folder) if path not in known and (s := self._taken_over(path))]

    def begin(self, drained: Mapping[UUID, int]) -> None:
        """So far segments that were adopted had been drained."""
        for segment in self._all():
            if segment.id in drained:
                segment.taken = max(segment.taken, drained[segment.id])
                segment.drained = max(segment.drained, drained[segment.id])

    def forgotten(self) -> list[UUID]:
        """The segments that are gone, and of which the database may still know."""
        with self._lists:
            return list(self._forgotten)

    def forget(self, gone: Collection[UUID]) -> None:
        """The database knows no more of these."""
        with self._lists:
            self._forgotten = [one for one in self._forgotten if one not in gone]

    def close(self) -> None:
        """Lets go of everything; another process may take it over."""
        with self._writes:
            self._end_writing()
        with self._lists:
            for segment in self._segments:
                if segment.lock is not None:
                    os.close(segment.lock)
            self._segments = []

    def _all(self) -> list[_Segment]:
        with self._lists:
            return list(self._segments)

    def _add(self, segment: _Segment) -> None:
        with self._lists:
            self._segments = sorted([*self._segments, segment], key=lambda one: _number(one.path))

    def _rotate(self) -> None:
        self._end_writing()
        self._make_room()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = load_or_make_key(self._key_file)
        there = files(self._folder)
        number = 1 + (_number(there[-1]) if there else 0)
        while self._writing is None:
            path = self._folder / f"frames-{number:08}.bin"
            try:
                file = SealedFile(path, key)
            except FileExistsError:  # another gateway was quicker
                number += 1
            else:
                self._writing = _Segment(file.id, path, written=0), file
        sync_folder(self._folder)
        self._add(self._writing[0])

    def _make_room(self) -> None:
        while len(there := self._all()) >= self._most:
            done = next((one for one in there if one.done), None)
            if done is None:
                raise JournalFull
            done.path.unlink(missing_ok=True)
            with self._lists:
                self._segments.remove(done)
                self._forgotten.append(done.id)
            if done.lock is not None:
                os.close(done.lock)

    def _end_writing(self) -> None:
        if self._writing is None:
            return
        segment, file = self._writing
        self._writing = None
        segment.lock = os.dup(file.file.fileno())  # the lock goes on: it may not be drained yet
        file.file.close()

    def _read(self, segment: _Segment, most: int) -> list[tuple[Place, Entry]]:
        try:
            if segment.reading is None:
                segment.reading = Reading(segment.path, self._key_file, load_or_make_key(self._key_file))
            segment.reading.skip(segment.taken - segment.reading.count)
            first = segment.reading.count
            wanted = most if segment.written is None else min(most, segment.written - first)
            records = segment.reading.next(wanted)
        except (FileNotFoundError, Refusal) as error:
            log.exception("journal.broken", segment=segment.path.name, at=segment.taken, error=repr(error))
            segment.written = segment.taken
            return []
        except OSError as error:  # too many open files, a disk that stalls: what stands there may be read yet
            log.warning("journal.unreadable", segment=segment.path.name, at=segment.taken, error=repr(error))
            segment.reading = None
            time.sleep(READ_AGAIN_S)
            return []
        if len(records) < wanted:
            segment.written = first + len(records)
        segment.taken = first + len(records)
        return [(Place(segment.id, first + i), Entry.decoded(record)) for i, record in enumerate(records)]

    def _taken_over(self, path: Path) -> _Segment | None:
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            segment = _Segment(file_id(path), path, written=None, lock=lock)
        except BlockingIOError:  # it is another's, who is alive
            os.close(lock)
            return None
        except NotSealed:
            log.warning("journal.passed-over", file=path.name, advice="it is no segment of this version's")
            os.close(lock)
            return None
        self._add(segment)
        return segment


def read(folder: Path, key_file: Path) -> Iterator[Entry]:
    """All entries that are kept, oldest first; Refusal if the key does not fit."""
    key = key_file.read_bytes()
    for path in files(folder):
        try:
            reading = Reading(path, key_file, key)
        except NotSealed:
            continue
        while records := reading.next(READ_TOGETHER):
            yield from (Entry.decoded(record) for record in records)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("frames-*.bin"), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[2])
