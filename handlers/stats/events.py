"""What stats tells, and the shot, which the gateway tells in the hardware's name."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus import answers
from bus.fields import Code, Micrometres, Moment, Text
from bus.message import Event

ReportKind = Literal["session-card", "season-report", "club-report"]
ReportFormat = Literal["pdf", "csv", "parquet"]
LARGEST_REPORT_BYTES: Final = 32 * 1024 * 1024


class ShotRecorded(Event, name="tracking.shot-recorded", stream="target:{device}", topic="telemetry"):
    """A target reported a shot. Origin is the target's centre, x to the right, y upwards."""

    device: Code
    epoch: Text
    number: int = Field(ge=1, le=10**9)
    lane: Code
    kind: Literal["sighter", "match"]
    miss: bool
    x_um: Micrometres
    y_um: Micrometres
    elapsed_ms: int | None = Field(ge=0, le=10**12, description="the device's clock, since its session began")
    received_at: Moment = Field(
        description="the database's clock; for a shot that a target repeats later, when it would have come"
    )
    face: Code | None
    raw_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    device_at: Moment | None = Field(default=None, description="the device's wall clock, where it has one")
    device_tenths: int | None = Field(default=None, ge=0, le=109, description="the device's own decimal score")
    device_rings: int | None = Field(default=None, ge=0, le=10, description="the device's own whole score")
    device_inner_ten: bool | None = None
    invalid: Code | None = Field(default=None, description="why it counts nothing, wherever it hit: out-of-time, …")


class Group(BaseModel):
    """The match shots that hit, in numbers. Lengths are in micrometres, scores in tenths of a ring."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    shots: int
    score_tenths: int
    integer_score: int
    inner_tens: int
    mean_score: float | None = Field(description="rings a shot; a miss is a shot of zero rings")
    centre_x_um: float | None
    centre_y_um: float | None
    mean_radius_um: float | None = Field(description="not told while a very long session is being shot")
    extreme_spread_um: float | None


class InterimScored(Event, name="stats.interim-scored", stream="session:{session}", about="session"):
    """How a session stands while it is being shot."""

    session: UUID
    lane: Code
    group: Group
    sighters: int
    misses: int
    last_number: int | None
    scored_at: Moment


class SessionScored(Event, name="stats.session-scored", stream="session:{session}", about="session"):
    """How a session ended; a later one of the same session replaces it."""

    session: UUID
    person: UUID
    lane: Code
    discipline: Code
    group: Group
    sighters: int
    misses: int
    started_at: Moment
    finished_at: Moment
    scored_at: Moment


class ResultsShared(Event, name="stats.results-shared", stream="sharing:{person}"):
    """A shooter's results are compared with others' from now on, or not any more."""

    person: UUID
    shared: bool
    decided_at: Moment


class ReportOrdered(Event, name="stats.report-ordered", stream="report:{report}"):
    """A report is wanted; it will be made soon."""

    report: UUID
    kind: ReportKind
    format: ReportFormat
    person: UUID | None = Field(description="whom it is about; none for the whole club")
    session: UUID | None
    discipline: Code | None
    since: Moment | None
    until: Moment | None
    time_zone: Text
    ordered_by: UUID
    ordered_at: Moment


class ReportRetried(Event, name="stats.report-retried", stream="report:{report}"):
    """A report that failed is to be made once more."""

    report: UUID
    retried_at: Moment


class ReportMade(Event, name="stats.report-made", stream="report:{report}"):
    """A report can be fetched until it expires. The file itself is kept outside the log."""

    report: UUID
    size_bytes: int = Field(ge=1, le=LARGEST_REPORT_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    made_at: Moment
    expires_at: Moment


class ReportFailed(Event, name="stats.report-failed", stream="report:{report}"):
    """A report could not be made."""

    report: UUID
    reason: Text
    failed_at: Moment


CorrectionReason = Literal[
    "jury-decision", "cross-fire", "double-hit", "target-fault", "range-fault", "not-fired", "sighter", "calibration"
]
AssignmentReason = Literal["no-session", "wrong-lane", "wrong-session", "cross-fire", "imported"]


class ShotCorrected(Event, name="stats.shot-corrected", stream="session:{session}", about="session"):
    """Somebody said what a shot counts, against what the target told. The last one of a shot holds."""

    session: UUID
    device: Code
    epoch: Text
    number: int
    reason: CorrectionReason
    counts: bool
    kind: Literal["sighter", "match"]
    score_tenths: int | None = Field(description="none: by its place")
    corrected_by: Text
    corrected_at: Moment


class ShotsAssigned(Event, name="stats.shots-assigned", stream="session:{session}", about="session"):
    """Somebody gave shots to a session, wherever and whenever they were shot."""

    session: UUID
    device: Code
    epoch: Text
    numbers: tuple[int, ...]
    reason: AssignmentReason
    assigned_by: Text
    assigned_at: Moment


class CommandRejected(answers.CommandRejected, name="stats.command-rejected", stream="{about}", rejects="command"):
    """Stats refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="stats.command-failed", stream="{about}", fails="command"):
    """Stats could not carry out a command because of a fault."""
