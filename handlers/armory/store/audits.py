"""Stock audits and incidents: what is loaded for them, and what is written."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.armory.commands import AuditStock, ReportIncident
from handlers.armory.events import IncidentReported, StockAudited
from handlers.armory.model.audits import Registered
from handlers.armory.model.fitness import Bench
from handlers.armory.store.loads import lock_weapon


async def load_register(connection: Connection, _asked: AuditStock) -> dict[UUID, Registered]:
    """All weapons of the register, as of this moment."""
    rows = await connection.fetch(
        """
        SELECT w.weapon, w.location,
               coalesce(w.gone, CASE WHEN EXISTS (
                   SELECT FROM loan AS l WHERE l.weapon = w.weapon AND l.returned_at IS NULL) THEN 'out' END) AS away
        FROM weapon AS w
        """
    )
    return {row["weapon"]: Registered(row["location"], row["away"]) for row in rows}


async def load_involved(connection: Connection, asked: ReportIncident) -> Bench:
    weapon = None if asked.weapon is None else await lock_weapon(connection, asked.weapon)
    return Bench(weapon, out=False)


async def stock_audited(connection: Connection, event: StockAudited) -> None:
    await connection.execute(
        """
        INSERT INTO stock_audit (audit, location, expected, scanned, audited_by, audited_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        event.audit,
        event.location,
        event.expected,
        event.scanned,
        event.audited_by,
        event.audited_at,
    )
    await connection.executemany(
        """
        INSERT INTO audit_finding (audit, weapon, found, registered, place) VALUES ($1, $2, $3, $4, $5)
        """,
        [(event.audit, one.weapon, one.found, one.registered, one.place) for one in event.findings],
    )


async def incident_reported(connection: Connection, event: IncidentReported) -> None:
    await connection.execute(
        """
        INSERT INTO incident (incident, kind, range, lane, booking, weapon, happened_at, reported_by, reported_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        event.incident,
        event.kind,
        event.range,
        event.lane,
        event.booking,
        event.weapon,
        event.happened_at,
        event.reported_by,
        event.reported_at,
    )
