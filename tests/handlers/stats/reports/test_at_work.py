"""Reports at work: from the order to the file, through failure and back, beside the lanes."""

import asyncio
import time
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import pytest

from bus.identity import uuid7
from handlers.auth.events import PersonErased
from handlers.rebuild import verify
from handlers.stats.commands import OrderSeasonReport, OrderSessionCard, RetryReport
from handlers.stats.events import InterimScored, ReportFailed, ReportMade
from handlers.stats.reports import process
from handlers.stats.service import service as stats
from tests.handlers.scenario import NOON
from tests.handlers.stats.at_work import Range
from tests.handlers.stats.making import SHOOTER, finished, shot, started

CHILDREN = "tests.handlers.stats.reports.children"
BY = f"person:{SHOOTER}"


def season(discipline: str | None = None) -> OrderSeasonReport:
    return OrderSeasonReport(
        report=uuid7(),
        person=SHOOTER,
        since=NOON - timedelta(days=1),
        until=NOON + timedelta(days=1),
        discipline=discipline,
    )


async def order(at_work: Range, command: OrderSeasonReport | OrderSessionCard) -> UUID:
    outcome = await at_work.ask(command, BY, command.report)
    assert outcome.status == "done", outcome
    return command.report


async def stand(at_work: Range, report: UUID, state: str) -> dict[str, object]:
    """The report's row, once it is so."""
    async with asyncio.timeout(30):
        while True:
            row = await at_work.gateway.fetchrow("SELECT * FROM stats.reports WHERE report = $1", report)
            if row is not None and row["state"] == state:
                return dict(row)
            await asyncio.sleep(0.02)


async def file(at_work: Range, report: UUID) -> bytes | None:
    content: bytes | None = await at_work.gateway.fetchval(
        "SELECT content FROM stats.report_files WHERE report = $1", report
    )
    return content


async def test_a_card_is_ordered_made_and_kept_with_its_hash(at_work: Range):
    await at_work.say(started())
    await at_work.shoot(*(shot(n, x_um=n * 900, at_s=n) for n in range(1, 13)))
    await at_work.say(finished(at_s=100))
    asked = OrderSessionCard(report=uuid7(), person=SHOOTER, session=UUID(int=1))
    async with asyncio.timeout(20):
        while (await at_work.ask(asked, BY, uuid7())).status == "rejected":  # stats has not heard of the session yet
            await asyncio.sleep(0.05)
    row = await stand(at_work, asked.report, "made")
    content = await file(at_work, asked.report)
    assert content is not None
    assert content.startswith(b"%PDF-")
    assert (row["size_bytes"], row["sha256"]) == (len(content), sha256(content).hexdigest())
    (told,) = await at_work.told(ReportMade)
    assert isinstance(told, ReportMade)
    assert told.expires_at - told.made_at == timedelta(days=7)
    compared = await verify(at_work.database.url("postgres"), stats(), lambda _: None)
    assert [one for one in compared if not one.same] == []


async def test_a_report_that_failed_says_why_and_is_made_once_more(at_work: Range, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "MODULE", CHILDREN)
    report = await order(at_work, season("wrong"))
    row = await stand(at_work, report, "failed")
    assert row["reason"] == process.FAULT
    (told,) = await at_work.told(ReportFailed)
    assert isinstance(told, ReportFailed)
    monkeypatch.undo()
    assert (await at_work.ask(RetryReport(report=report), BY)).status == "done"
    await stand(at_work, report, "made")
    assert (await at_work.ask(RetryReport(report=report), BY)).status == "rejected"


async def test_a_heavy_report_tells_its_progress_and_delays_no_result(at_work: Range, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "MODULE", CHILDREN)
    heavy = [await order(at_work, season("heavy")) for _ in range(2)]
    for report in heavy:
        async with asyncio.timeout(20):
            while (await stand(at_work, report, "making"))["percent"] != 40:
                await asyncio.sleep(0.02)
    slowest = 0.0
    for number in range(1, 9):
        lane = f"lane-{number}"
        await at_work.say(started(number, lane=lane))
        since = time.monotonic()
        await at_work.shoot(shot(1, device=f"target-{number}", lane=lane, at_s=5))
        await at_work.told(InterimScored, f"body->>'session' = '{UUID(int=number)}'")
        slowest = max(slowest, time.monotonic() - since)
    for report in heavy:
        assert (await at_work.gateway.fetchval("SELECT state FROM stats.reports WHERE report = $1", report)) == "making"
    assert slowest < 1.0, "each result came at once, while the reports were being made"
    for report in heavy:
        assert (await stand(at_work, report, "made"))["percent"] is None


async def test_nothing_is_kept_of_whoever_was_erased(at_work: Range, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "MODULE", CHILDREN)
    monkeypatch.setattr("handlers.stats.reports.office.SWEEP_EVERY_S", 0.05)
    report = await order(at_work, season())
    await stand(at_work, report, "made")
    assert await file(at_work, report) is not None
    auth = await at_work.database.connect("postgres")
    stats_role = await at_work.database.connect("stats")
    from handlers.stats.store.reports import forgotten

    await forgotten(stats_role, PersonErased(person=SHOOTER))
    assert await file(at_work, report) is None
    async with asyncio.timeout(10):
        while await auth.fetchval("SELECT count(*) FROM stats.report_file"):
            await asyncio.sleep(0.05)
    await auth.close()
    await stats_role.close()


async def test_files_expire(at_work: Range, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "MODULE", CHILDREN)
    monkeypatch.setattr("handlers.stats.reports.office.KEPT_FOR", timedelta(seconds=-1))
    monkeypatch.setattr("handlers.stats.reports.office.SWEEP_EVERY_S", 0.05)
    report = await order(at_work, season())
    await stand(at_work, report, "made")
    async with asyncio.timeout(10):
        while await file(at_work, report) is not None:
            await asyncio.sleep(0.05)
