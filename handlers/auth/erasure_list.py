"""Who was erased, in a file outside the database, so that a restored older backup brings nobody back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from bus.errors import Refusal


@dataclass(frozen=True, slots=True)
class ErasureList:
    """One line for each erasure, readable by its owner alone; it holds opaque ids and moments."""

    file: Path

    def add(self, person: UUID, at: datetime) -> None:
        """Returns when the line is on the disk."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as opened:
            opened.write(json.dumps({"person": str(person), "erased_at": at.isoformat()}) + "\n")
            opened.flush()
            os.fsync(opened.fileno())

    def persons(self) -> list[UUID]:
        try:
            lines = self.file.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            return [UUID(json.loads(line)["person"]) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(f"{self.file} is no list of erasures: bring it back from a copy.") from error
