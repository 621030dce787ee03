"""Fetching reports at the gate: whole, in pieces, by whoever ordered them, while they are kept."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from bus.identity import uuid7
from handlers.stats.events import ReportFailed, ReportMade, ReportOrdered
from handlers.stats.store import reports
from tests.database import Database
from tests.gateway.gate import open_gate
from tests.handlers.stats.making import SHOOTER

CONTENT = bytes(range(256)) * 5_000  # some pieces, the last one not whole
NOW = datetime.now(UTC)


def ordered(report: UUID) -> ReportOrdered:
    return ReportOrdered(
        report=report,
        kind="season-report",
        format="pdf",
        person=SHOOTER,
        session=None,
        discipline=None,
        since=NOW - timedelta(days=9),
        until=NOW,
        time_zone="UTC",
        ordered_by=SHOOTER,
        ordered_at=NOW,
    )


def made(report: UUID, expires_at: datetime) -> ReportMade:
    return ReportMade(
        report=report,
        size_bytes=len(CONTENT),
        sha256=sha256(CONTENT).hexdigest(),
        made_at=NOW,
        expires_at=expires_at,
    )


@pytest.fixture
async def stats(database: Database):
    connection = await database.connect("stats")
    yield connection
    await connection.close()


async def test_a_file_is_fetched_whole_by_whoever_ordered_it_and_by_nobody_else(database, stats, tmp_path: Path):
    report = uuid7()
    await reports.ordered(stats, ordered(report))
    await reports.keep_file(stats, report, CONTENT, NOW + timedelta(days=1))
    await reports.made(stats, made(report, NOW + timedelta(days=1)))
    async with open_gate(database, tmp_path, services=("stats",)) as gate:
        path = f"/v1/reports/{report}"
        own, shown = gate.token(person=SHOOTER), await gate.get(path, gate.token(person=SHOOTER))
        async with gate.http.get(f"{gate.url}{path}/file", headers={"Authorization": f"Bearer {own}"}) as answer:
            body = await answer.read()
        others = [await gate.get(one, gate.token("instructor")) for one in (path, f"{path}/file")]
        admin = await gate.get(path, gate.token("admin"))
        listed = await gate.get("/v1/reports", own)
        theirs = await gate.get("/v1/reports", gate.token("instructor"))
    assert (answer.status, body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="season-report-{NOW:%Y-%m-%d}.pdf"'
    assert answer.headers["ETag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert (shown.body["state"], shown.body["size_bytes"], admin.status) == ("made", len(CONTENT), 200)
    assert [one.status for one in others] == [404, 404]
    assert ([one["report"] for one in listed.body["items"]], theirs.body["items"]) == ([str(report)], [])


async def test_a_file_that_is_not_there_says_why(database, stats, tmp_path: Path):
    waiting, failed, expired = uuid7(), uuid7(), uuid7()
    for report in (waiting, failed, expired):
        await reports.ordered(stats, ordered(report))
    await reports.begin(stats, waiting)
    await reports.tell_progress(stats, waiting, "drawing", 40)
    await reports.failed(stats, ReportFailed(report=failed, reason="Too much.", failed_at=NOW))
    await reports.keep_file(stats, expired, CONTENT, NOW - timedelta(days=1))
    await reports.made(stats, made(expired, NOW - timedelta(days=1)))
    async with open_gate(database, tmp_path, services=("stats",)) as gate:
        own = gate.token(person=SHOOTER)
        shown = await gate.get(f"/v1/reports/{waiting}", own)
        answers = {one: await gate.get(f"/v1/reports/{one}/file", own) for one in (waiting, failed, expired, uuid7())}
    assert (shown.body["state"], shown.body["stage"], shown.body["percent"]) == ("making", "drawing", 40)
    assert [(one.status, one.problem) for one in answers.values()] == [
        (409, "report-not-made"),
        (409, "report-not-made"),
        (410, "report-expired"),
        (404, "not-found"),
    ]
    assert answers[failed].body["detail"] == "Too much."
