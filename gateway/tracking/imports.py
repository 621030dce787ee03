"""Exports of other programs, taken as files: ShotMarker's CSV and backup, TargetScan's CSV."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.problems import MALFORMED_BODY, Problem
from gateway.tracking.clock import DatabaseClock
from gateway.tracking.frames import Wrong
from gateway.tracking.hearing import Hearing, Keep, Spot
from gateway.tracking.journal import Entry
from gateway.tracking.makers.columns import TARGETSCAN
from gateway.tracking.shots import Sighted
from gateway.tracking.sources.files import Table
from gateway.tracking.spool import Part
from gateway.tracking.ways import CSV, SHOTMARKER_CSV, SHOTMARKER_TAR, WAYS

MOST_WRONG: Final = 50

Form = Literal["shotmarker-csv", "shotmarker-tar", "targetscan"]
WHOLE: Final = {"shotmarker-csv": SHOTMARKER_CSV, "shotmarker-tar": SHOTMARKER_TAR}


class ImportResult(BaseModel):
    """What became of a file. The shots of its epochs belong to whoever shot on the lane then, or can be assigned."""

    model_config = ConfigDict(frozen=True)

    device: str = Field(description="under which its shots stand")
    epochs: tuple[str, ...]
    recorded: int
    repeated: int
    kept: int = Field(description="safely on the gateway's disk, and recorded later: the log is away")
    wrong: tuple[str, ...] = Field(description="what could not be read, and why")


class FileHearing:
    """Reads one file for a lane."""

    def __init__(self, form: Form, lane: str, clock: DatabaseClock, keep: Keep, actor: str) -> None:
        self.device = f"import-{lane}"[:64]
        self.wrong: tuple[str, ...] = ()
        self._form = form
        self._lane = lane
        self._actor = actor
        self._at = clock.now()
        self._hearing = Hearing([Spot(self.device, lane, None, "")], clock, keep, actor)

    def read(self, raw: bytes) -> list[Part]:
        """The file as it is to be kept; Problem if there is no shot in it."""
        parts = self._whole(raw) if self._form in WHOLE else self._rows(raw)
        if not any(part.shots for part in parts):
            raise Problem(MALFORMED_BODY, f"There is no shot of {self._form} in it.")
        return parts

    def epochs(self, parts: Sequence[Part]) -> tuple[str, ...]:
        return tuple(sorted({shot.epoch or "" for part in parts for shot in part.shots}))

    def _whole(self, raw: bytes) -> list[Part]:
        way = WHOLE[self._form]
        found = WAYS[way](raw, "")
        self.wrong = tuple(one.told.reason for one in found if isinstance(one.told, Wrong))[:MOST_WRONG]
        parts = []
        for point in sorted({one.point for one in found}):
            shots = [one.told for one in found if one.point == point and isinstance(one.told, Sighted)]
            source = f"{point}/"
            entry = Entry(self.device, self._lane, way, self._at, raw, live=False, actor=self._actor, source=source)
            parts.append(Part(entry, shots))
        return parts

    def _rows(self, raw: bytes) -> list[Part]:
        table = Table(TARGETSCAN, export=f"import:{sha256(raw).hexdigest()[:16]}")
        parts: list[Part] = []
        for line in raw.splitlines():
            context = table.context(line)
            if context is not None:
                parts += self._hearing.parts(CSV, line, context, live=False)
        self.wrong = tuple(one.entry.verdict for one in parts if one.entry.verdict != "shot")[:MOST_WRONG]
        return parts
