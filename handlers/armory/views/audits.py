"""Stock audits and incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection
from handlers.armory.views.view import View


class FindingView(View):
    """A weapon that was not where the register had it."""

    weapon: UUID
    found: Literal["missing", "unexpected", "misplaced"]
    registered: str
    place: str | None


class AuditView(View):
    """A stock audit: how many weapons should have been there, how many were scanned, and what did not agree."""

    audit: UUID
    location: str | None
    expected: int
    scanned: int
    audited_by: UUID
    audited_at: datetime
    findings: tuple[FindingView, ...]


class IncidentView(View):
    """Something that should not have happened."""

    incident: UUID
    kind: str
    range: str
    lane: str | None
    booking: UUID | None
    weapon: UUID | None
    happened_at: datetime
    reported_by: UUID
    reported_at: datetime


async def audit(connection: Connection, audit_id: UUID) -> AuditView | None:
    row = await connection.fetchrow(
        """
        SELECT audit, location, expected, scanned, audited_by, audited_at FROM armory.stock_audits WHERE audit = $1
        """,
        audit_id,
    )
    if row is None:
        return None
    found = await connection.fetch(
        """
        SELECT weapon, found, registered, place FROM armory.audit_findings WHERE audit = $1
        ORDER BY found, weapon
        """,
        audit_id,
    )
    return AuditView(**row, findings=tuple(FindingView(**one) for one in found))


async def incidents(connection: Connection, *, most: int) -> list[IncidentView]:
    """The last incidents, the latest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT incident, kind, range, lane, booking, weapon, happened_at, reported_by, reported_at
        FROM armory.incidents
        ORDER BY happened_at DESC, incident
        LIMIT $1
        """,
        most,
    )
    return [IncidentView(**row) for row in rows]
