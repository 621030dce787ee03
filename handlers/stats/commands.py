"""What stats can be asked, and what it asks itself."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from bus.fields import Code, Moment
from bus.message import Command
from handlers.stats.events import ReportFormat

TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
ZONE = Field(default="UTC", description="in which the report tells times: a name of the IANA database")


class PublishInterim(Command, name="stats.publish-interim", stream="session:{session}", about="session"):
    """Say how a session stands, if shots came since it was last said."""

    session: UUID


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
