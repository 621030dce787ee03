"""What stats can be asked, and what it asks itself."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from bus.fields import Code, Moment, Text
from bus.message import Command
from handlers.stats.events import AssignmentReason, CorrectionReason, ReportFormat

TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
ZONE = Field(default="UTC", description="in which the report tells times: a name of the IANA database")


class PublishInterim(Command, name="stats.publish-interim", stream="session:{session}", about="session"):
    """Say how a session stands, if shots came since it was last said."""

    session: UUID


class CorrectShot(Command, name="stats.correct-shot", stream="session:{session}", about="session"):
    """Say what a shot of a session counts, against what the target told; the reason and who said so are kept."""

    session: UUID
    device: Code
    epoch: Text
    number: int = Field(ge=1, le=10**9)
    reason: CorrectionReason
    counts: bool = Field(default=True, description="false: it counts nothing")
    kind: Literal["sighter", "match"] | None = Field(default=None, description="left out: as it was told")
    score_tenths: int | None = Field(default=None, ge=0, le=109, description="left out: by its place")


class AssignShots(Command, name="stats.assign-shots", stream="session:{session}", about="session"):
    """Give a target's shots to a session, wherever and whenever they were shot; nothing moves them again by itself."""

    session: UUID
    device: Code
    epoch: Text
    first: int = Field(ge=1, le=10**9)
    last: int = Field(ge=1, le=10**9)
    reason: AssignmentReason


class OrderSessionCard(Command, name="stats.order-session-card", stream="report:{report}"):
    """Make a card of one session: its target, its series, and what its group says."""

    report: UUID
    person: UUID
    session: UUID
    format: ReportFormat = "pdf"
    time_zone: TimeZone = ZONE


class OrderSeasonReport(Command, name="stats.order-season-report", stream="report:{report}"):
    """Make a report of a shooter's sessions in a time: how they went, and whether anything changed."""

    report: UUID
    person: UUID
    since: Moment
    until: Moment
    discipline: Code | None = Field(default=None, description="all that were shot, if it is left out")
    format: ReportFormat = "pdf"
    time_zone: TimeZone = ZONE


class OrderClubReport(Command, name="stats.order-club-report", stream="report:{report}"):
    """Make a report of all that was shot in a time; it names nobody."""

    report: UUID
    since: Moment
    until: Moment
    format: ReportFormat = "pdf"
    time_zone: TimeZone = ZONE


class RetryReport(Command, name="stats.retry-report", stream="report:{report}"):
    """Make a report that failed once more."""

    report: UUID


class ShareResults(Command, name="stats.share-results", stream="sharing:{person}"):
    """Let your results be compared with those of others who do the same, or not any more."""

    person: UUID
    shared: bool
