"""Which reports are made, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from bus.service import Effect, Given
from handlers.stats.commands import OrderClubReport, OrderSeasonReport, OrderSessionCard, RetryReport
from handlers.stats.events import ReportFailed, ReportMade, ReportOrdered, ReportRetried
from handlers.stats.model import rules

LONGEST: Final = timedelta(days=366)
KEPT_FOR: Final = timedelta(days=7)
MOST_OPEN_EACH: Final = 5
MOST_OPEN: Final = 200


@dataclass(frozen=True, slots=True)
class Open:
    """How many reports are still to be made, by who ordered them."""

    of: Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class CardWish:
    """What is known when a card is ordered."""

    open: Open
    is_the_shooters: bool  # the session


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was ordered."""

    report: UUID
    ordered_by: UUID
    state: str


@dataclass(frozen=True, slots=True)
class RetryWish:
    """What is known when a report is to be made once more."""

    open: Open
    report: Report | None


@dataclass(frozen=True, slots=True)
class File:
    """What was made."""

    size_bytes: int
    sha256: str


def order_session_card(wish: CardWish, asked: OrderSessionCard, given: Given) -> list[Effect]:
    """A card of one of the shooter's sessions; of one that is being shot, as it stands when it is made."""
    ordered_by = _orderer(wish.open, given)
    _must_be_a_zone(asked.time_zone)
    if not wish.is_the_shooters:
        raise rules.SessionUnknown
    return [
        ReportOrdered(
            report=asked.report,
            kind="session-card",
            format=asked.format,
            person=asked.person,
            session=asked.session,
            discipline=None,
            since=None,
            until=None,
            time_zone=asked.time_zone,
            ordered_by=ordered_by,
            ordered_at=given.at,
        )
    ]


def order_season_report(wish: Open, asked: OrderSeasonReport, given: Given) -> list[Effect]:
    ordered_by = _orderer(wish, given)
    _must_be_a_zone(asked.time_zone)
    _must_be_a_period(asked.since, asked.until)
    return [
        ReportOrdered(
            report=asked.report,
            kind="season-report",
            format=asked.format,
            person=asked.person,
            session=None,
            discipline=asked.discipline,
            since=asked.since,
            until=asked.until,
            time_zone=asked.time_zone,
            ordered_by=ordered_by,
            ordered_at=given.at,
        )
    ]


def order_club_report(wish: Open, asked: OrderClubReport, given: Given) -> list[Effect]:
    ordered_by = _orderer(wish, given)
    _must_be_a_zone(asked.time_zone)
    _must_be_a_period(asked.since, asked.until)
    return [
        ReportOrdered(
            report=asked.report,
            kind="club-report",
            format=asked.format,
            person=None,
            session=None,
            discipline=None,
            since=asked.since,
            until=asked.until,
            time_zone=asked.time_zone,
            ordered_by=ordered_by,
            ordered_at=given.at,
        )
    ]


def retry_report(wish: RetryWish, asked: RetryReport, given: Given) -> list[Effect]:
    ordered_by = _orderer(wish.open, given)
    report = wish.report
    if report is None or report.ordered_by != ordered_by:
        raise rules.ReportUnknown
    if report.state != "failed":
        raise rules.ReportNotFailed
    return [ReportRetried(report=asked.report, retried_at=given.at)]


def made(report: Report | None, file: File, at: datetime) -> list[Effect]:
    """A file is there. A report that nobody waits for any more (its shooter was erased) is left at that."""
    if report is None or report.state != "ordered":
        return []
    return [
        ReportMade(
            report=report.report,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            made_at=at,
            expires_at=at + KEPT_FOR,
        )
    ]


def failed(report: Report | None, reason: str, at: datetime) -> list[Effect]:
    """There will be no file."""
    if report is None or report.state != "ordered":
        return []
    return [ReportFailed(report=report.report, reason=reason, failed_at=at)]


def _orderer(wish: Open, given: Given) -> UUID:
    if given.person is None:
        raise rules.PeopleOnly
    if wish.of.get(given.person, 0) >= MOST_OPEN_EACH:
        raise rules.TooManyReports(most=MOST_OPEN_EACH)
    if sum(wish.of.values()) >= MOST_OPEN:
        raise rules.RangeBusy(most=MOST_OPEN)
    return given.person


def _must_be_a_zone(time_zone: str) -> None:
    if time_zone not in available_timezones():
        raise rules.TimeZoneUnknown(time_zone=time_zone)


def _must_be_a_period(since: datetime, until: datetime) -> None:
    if until <= since:
        raise rules.PeriodBackwards
    if until - since > LONGEST:
        raise rules.PeriodTooLong(days=LONGEST.days)
