"""What the process that makes a report is given, and what it gives back."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from handlers.stats.events import ReportFormat, ReportKind

MEDIA_TYPES: Final[dict[ReportFormat, str]] = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class Order(BaseModel):
    """A report that is to be made. What its kind needs is there; the rest is None."""

    model_config = ConfigDict(frozen=True)

    report: UUID
    kind: ReportKind
    format: ReportFormat
    person: UUID | None = None
    session: UUID | None = None
    discipline: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    time_zone: str = "UTC"


class Task(BaseModel):
    """An order, where to read what it needs, and when it was begun."""

    order: Order
    dsn: str
    at: datetime


class Word(BaseModel):
    """What the process says while it works, one a line: how far it is, or why there will be no report."""

    stage: Literal["reading", "drawing", "writing", "refused"]
    percent: int = 0
    reason: str = ""


class Unmakeable(Exception):  # noqa: N818 - a finding, told to whoever ordered it
    """There will be no such report; the message says why."""
