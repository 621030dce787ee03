"""Reports as the tables have them: orders, how far each is, and the files."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from bus.connection import Connection
from handlers.auth.events import PersonErased
from handlers.stats.commands import OrderClubReport, OrderSeasonReport, OrderSessionCard, RetryReport
from handlers.stats.events import ReportFailed, ReportMade, ReportOrdered, ReportRetried
from handlers.stats.model.reports import CardWish, Open, Report, RetryWish
from handlers.stats.reports.order import Order

SWEPT_AT_ONCE: Final = 100

# What decisions load


async def card_wish(connection: Connection, asked: OrderSessionCard) -> CardWish:
    found = await connection.fetchval(
        "SELECT true FROM session WHERE session = $1 AND person = $2", asked.session, asked.person
    )
    return CardWish(await _open(connection), is_the_shooters=found is not None)


async def season_wish(connection: Connection, _: OrderSeasonReport) -> Open:
    return await _open(connection)


async def club_wish(connection: Connection, _: OrderClubReport) -> Open:
    return await _open(connection)


async def retry_wish(connection: Connection, asked: RetryReport) -> RetryWish:
    return RetryWish(await _open(connection), await find(connection, asked.report))


async def find(connection: Connection, report: UUID) -> Report | None:
    """The report, held until the transaction's end."""
    row = await connection.fetchrow("SELECT report, ordered_by, state FROM report WHERE report = $1 FOR UPDATE", report)
    return None if row is None else Report(**row)


async def _open(connection: Connection) -> Open:
    rows = await connection.fetch(
        "SELECT ordered_by, count(*) AS open FROM report WHERE state = 'ordered' GROUP BY ordered_by"
    )
    return Open({row["ordered_by"]: row["open"] for row in rows})


# How events are applied


async def ordered(connection: Connection, event: ReportOrdered) -> None:
    await connection.execute(
        """
        INSERT INTO report (report, kind, format, person, session, discipline, since, until, time_zone, ordered_by,
                            ordered_at, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'ordered')
        """,
        event.report,
        event.kind,
        event.format,
        event.person,
        event.session,
        event.discipline,
        event.since,
        event.until,
        event.time_zone,
        event.ordered_by,
        event.ordered_at,
    )


async def retried(connection: Connection, event: ReportRetried) -> None:
    await connection.execute(
        "UPDATE report SET state = 'ordered', ordered_at = $2, reason = NULL WHERE report = $1",
        event.report,
        event.retried_at,
    )


async def made(connection: Connection, event: ReportMade) -> None:
    await connection.execute(
        """
        UPDATE report SET state = 'made', size_bytes = $2, sha256 = $3, made_at = $4, expires_at = $5 WHERE report = $1
        """,
        event.report,
        event.size_bytes,
        event.sha256,
        event.made_at,
        event.expires_at,
    )


async def failed(connection: Connection, event: ReportFailed) -> None:
    await connection.execute(
        "UPDATE report SET state = 'failed', reason = $2 WHERE report = $1", event.report, event.reason
    )


async def forgotten(connection: Connection, event: PersonErased) -> None:
    """Nothing is made, kept or compared of who was erased; the files are out of reach and go with the next sweep."""
    await connection.execute("DELETE FROM report WHERE person = $1 OR ordered_by = $1", event.person)
    await connection.execute("DELETE FROM sharing WHERE person = $1", event.person)


# The making, which is no state of the service


async def next_order(connection: Connection, besides: Collection[UUID]) -> Order | None:
    """The oldest order of which nothing is made yet."""
    row = await connection.fetchrow(
        """
        SELECT report, kind, format, person, session, discipline, since, until, time_zone FROM report
        WHERE state = 'ordered' AND report <> ALL ($1::uuid[]) ORDER BY ordered_at, report LIMIT 1
        """,
        list(besides),
    )
    return None if row is None else Order(**row)


async def begin(connection: Connection, report: UUID) -> int:
    """Counts a try before it is made; returns how many there were, this one among them."""
    begun: int = await connection.fetchval(
        """
        INSERT INTO report_progress AS p (report, begun, stage, percent) VALUES ($1, 1, 'begun', 0)
        ON CONFLICT (report) DO UPDATE SET begun = p.begun + 1, stage = 'begun', percent = 0 RETURNING begun
        """,
        report,
    )
    return begun


async def tell_progress(connection: Connection, report: UUID, stage: str, percent: int) -> None:
    await connection.execute(
        "UPDATE report_progress SET stage = $2, percent = $3 WHERE report = $1", report, stage, percent
    )


async def end(connection: Connection, report: UUID) -> None:
    await connection.execute("DELETE FROM report_progress WHERE report = $1", report)


async def keep_file(connection: Connection, report: UUID, content: bytes, expires_at: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO report_file (report, content, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (report) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at
        """,
        report,
        content,
        expires_at,
    )


async def sweep(connection: Connection) -> int:
    """Destroys files that expired and files of reports that are gone; returns how many, a hundred at most."""
    swept = await connection.fetch(
        """
        DELETE FROM report_file WHERE report IN (
            SELECT f.report FROM report_file AS f LEFT JOIN report AS r USING (report)
            WHERE f.expires_at <= clock_timestamp() OR r.report IS NULL LIMIT $1)
        RETURNING report
        """,
        SWEPT_AT_ONCE,
    )
    return len(swept)
