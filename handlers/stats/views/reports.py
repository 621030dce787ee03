"""Reports: how each stands, and the file of one that is made.

`viewer` is who ordered them; None sees everybody's (an admin). What belongs to somebody else looks absent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from bus.connection import Connection
from handlers.stats.events import ReportFormat, ReportKind
from handlers.stats.reports.order import MEDIA_TYPES
from handlers.stats.views.view import View

MOST_REPORTS: Final = 100


class ReportView(View):
    """A report that was ordered, how far it is, and until when it can be fetched."""

    report: UUID
    kind: ReportKind
    format: ReportFormat
    person: UUID | None = Field(description="whom it is about; none for the whole club")
    session: UUID | None
    discipline: str | None
    since: datetime | None
    until: datetime | None
    time_zone: str
    ordered_at: datetime
    state: Literal["ordered", "making", "made", "failed"]
    stage: str | None = Field(description="what is being done while it is made: begun, reading, drawing, writing")
    percent: int | None = Field(description="how far it is while it is made")
    reason: str | None = Field(description="why it failed; it can be tried once more")
    size_bytes: int | None
    sha256: str | None
    made_at: datetime | None
    expires_at: datetime | None = Field(description="until when the file is kept")


class File(NamedTuple):
    """The file of a report, but for its content."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str


async def report(connection: Connection, id_: UUID, viewer: UUID | None) -> ReportView | None:
    """One report."""
    row = await connection.fetchrow(
        """
        SELECT report, kind, format, person, session, discipline, since, until, time_zone, ordered_at, state, stage,
               percent, reason, size_bytes, sha256, made_at, expires_at
        FROM stats.reports WHERE report = $1 AND ($2::uuid IS NULL OR ordered_by = $2)
        """,
        id_,
        viewer,
    )
    return None if row is None else ReportView(**dict(row))


async def reports(connection: Connection, ordered_by: UUID, limit: int) -> list[ReportView]:
    """A person's last reports, the latest first."""
    rows = await connection.fetch(
        """
        SELECT report, kind, format, person, session, discipline, since, until, time_zone, ordered_at, state, stage,
               percent, reason, size_bytes, sha256, made_at, expires_at
        FROM stats.reports WHERE ordered_by = $1 ORDER BY ordered_at DESC, report LIMIT $2
        """,
        ordered_by,
        min(limit, MOST_REPORTS),
    )
    return [ReportView(**dict(row)) for row in rows]


async def file(connection: Connection, id_: UUID, viewer: UUID | None) -> File | None:
    """The file of a report that is made and has not expired."""
    row = await connection.fetchrow(
        """
        SELECT kind, format, made_at, octet_length(content) AS size_bytes, sha256 FROM stats.report_files
        WHERE report = $1 AND ($2::uuid IS NULL OR ordered_by = $2) AND expires_at > clock_timestamp()
        """,
        id_,
        viewer,
    )
    if row is None:
        return None
    name = f"{row['kind']}-{row['made_at']:%Y-%m-%d}.{row['format']}"
    return File(name, MEDIA_TYPES[row["format"]], row["size_bytes"], row["sha256"])


async def piece(connection: Connection, id_: UUID, offset: int, length: int) -> bytes | None:
    """A piece of the file's content from `offset` (in bytes from 0) on; None if the file is gone."""
    content: bytes | None = await connection.fetchval(
        "SELECT substring(content FROM $2 FOR $3) FROM stats.report_files WHERE report = $1", id_, offset + 1, length
    )
    return content
