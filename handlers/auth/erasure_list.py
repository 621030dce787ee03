"""Who was erased, in a file outside the database, so that a restored older backup brings nobody back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bus.errors import Refusal

DESTROYED: Final = (
    "login name", "display name", "password", "second factor", "licence numbers and authorities", "logins",
)  # fmt: skip
METHOD: Final = "the key under which it is sealed was destroyed, in the database and so in every copy of it"
WITHIN: Final = timedelta(days=30)
"""How long after the wish personal data must be destroyed at the latest (152-FZ art. 21, GDPR art. 12)."""
KEPT_FOR: Final = timedelta(days=3 * 366)
"""How long the record of an erasure is kept (RKN order 179: three years)."""


@dataclass(frozen=True, slots=True)
class ErasureList:
    """One line for each erasure, readable by its owner alone; it holds opaque ids and moments."""

    file: Path

    def add(self, person: UUID, at: datetime, asked_by: str) -> None:
        """Returns when the line, which is the record of the act, is on the disk."""
        record = {
            "person": str(person),
            "erased_at": at.isoformat(),
            "asked_by": asked_by,
            "ground": "wish of the person" if asked_by == f"person:{person}" else "decision of an administrator",
            "destroy_by": (at + WITHIN).isoformat(),
            "destroyed": DESTROYED,
            "method": METHOD,
            "keep_until": (at + KEPT_FOR).isoformat(),
        }
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as opened:
            opened.write(json.dumps(record) + "\n")
            opened.flush()
            os.fsync(opened.fileno())

    def persons(self) -> list[UUID]:
        return [UUID(record["person"]) for record in self.records()]

    def records(self) -> list[Mapping[str, Any]]:
        """Every erasure, the oldest first."""
        try:
            lines = self.file.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            found = [json.loads(line) for line in lines]
            for record in found:
                UUID(record["person"])
                datetime.fromisoformat(record["erased_at"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(f"{self.file} is no list of erasures: bring it back from a copy.") from error
        return found
