"""Which reports are made, and what becomes of them."""

from datetime import timedelta
from uuid import UUID

import pytest

from handlers.stats.commands import OrderClubReport, OrderSeasonReport, OrderSessionCard, RetryReport
from handlers.stats.events import ReportFailed, ReportMade, ReportOrdered, ReportRetried
from handlers.stats.model import rules
from handlers.stats.model.reports import (
    KEPT_FOR,
    LONGEST,
    MOST_OPEN,
    MOST_OPEN_EACH,
    CardWish,
    File,
    Open,
    Report,
    RetryWish,
    failed,
    made,
    order_club_report,
    order_season_report,
    order_session_card,
    retry_report,
)
from tests.handlers.scenario import NOON, given

ANNA, BEN = UUID(int=7), UUID(int=8)
BY_ANNA = f"person:{ANNA}"
REPORT = UUID(int=1)
NONE_OPEN = Open({})
CARD = OrderSessionCard(report=REPORT, person=ANNA, session=UUID(int=2))
SEASON = OrderSeasonReport(report=REPORT, person=ANNA, since=NOON - timedelta(days=30), until=NOON)
CLUB = OrderClubReport(report=REPORT, since=NOON - timedelta(days=30), until=NOON, format="csv")
ORDERED = ReportOrdered(
    report=REPORT,
    kind="session-card",
    format="pdf",
    person=ANNA,
    session=UUID(int=2),
    discipline=None,
    since=None,
    until=None,
    time_zone="UTC",
    ordered_by=ANNA,
    ordered_at=NOON,
)


def test_a_card_of_ones_own_session_is_ordered():
    wish = CardWish(NONE_OPEN, is_the_shooters=True)
    given(wish, actor=BY_ANNA).when(order_session_card, CARD).then(ORDERED)


def test_a_card_of_a_session_that_is_not_the_shooters_is_refused():
    wish = CardWish(NONE_OPEN, is_the_shooters=False)
    given(wish, actor=BY_ANNA).when(order_session_card, CARD).then_refused(rules.SessionUnknown)


def test_a_season_and_a_club_report_cover_a_time():
    season = given(NONE_OPEN, actor=BY_ANNA).when(order_season_report, SEASON).effects[0]
    club = given(NONE_OPEN, actor=BY_ANNA).when(order_club_report, CLUB).effects[0]
    assert isinstance(season, ReportOrdered)
    assert isinstance(club, ReportOrdered)
    assert (season.person, season.since, season.until) == (ANNA, SEASON.since, SEASON.until)
    assert (club.person, club.format, club.ordered_by) == (None, "csv", ANNA)


@pytest.mark.parametrize(
    ("since", "rule"),
    [(NOON, rules.PeriodBackwards), (NOON - LONGEST - timedelta(seconds=1), rules.PeriodTooLong)],
)
def test_a_time_that_is_none_or_too_long_is_refused(since, rule):
    asked = SEASON.model_copy(update={"since": since})
    given(NONE_OPEN, actor=BY_ANNA).when(order_season_report, asked).then_refused(rule)
    club = CLUB.model_copy(update={"since": since})
    given(NONE_OPEN, actor=BY_ANNA).when(order_club_report, club).then_refused(rule)


def test_a_zone_that_nobody_knows_is_refused():
    asked = SEASON.model_copy(update={"time_zone": "Europe/Atlantis"})
    given(NONE_OPEN, actor=BY_ANNA).when(order_season_report, asked).then_refused(rules.TimeZoneUnknown)


def test_only_so_many_wait_of_one_person_and_of_all():
    own = Open({ANNA: MOST_OPEN_EACH})
    given(own, actor=BY_ANNA).when(order_season_report, SEASON).then_refused(rules.TooManyReports)
    others = Open({UUID(int=n): 1 for n in range(100, 100 + MOST_OPEN)})
    given(others, actor=BY_ANNA).when(order_season_report, SEASON).then_refused(rules.RangeBusy)
    given(others, actor="service:booking").when(order_season_report, SEASON).then_refused(rules.PeopleOnly)


def test_only_whoever_ordered_a_report_that_failed_has_it_made_once_more():
    def wish(state: str, by: UUID = ANNA) -> RetryWish:
        return RetryWish(NONE_OPEN, Report(REPORT, by, state))

    again = RetryReport(report=REPORT)
    given(wish("failed"), actor=BY_ANNA).when(retry_report, again).then(ReportRetried(report=REPORT, retried_at=NOON))
    given(wish("made"), actor=BY_ANNA).when(retry_report, again).then_refused(rules.ReportNotFailed)
    given(wish("ordered"), actor=BY_ANNA).when(retry_report, again).then_refused(rules.ReportNotFailed)
    given(wish("failed", by=BEN), actor=BY_ANNA).when(retry_report, again).then_refused(rules.ReportUnknown)
    given(RetryWish(NONE_OPEN, None), actor=BY_ANNA).when(retry_report, again).then_refused(rules.ReportUnknown)


def test_a_report_ends_once_and_only_if_somebody_waits_for_it():
    file = File(12, "0" * 64)
    waiting = Report(REPORT, ANNA, "ordered")
    assert made(waiting, file, NOON) == [
        ReportMade(report=REPORT, size_bytes=12, sha256="0" * 64, made_at=NOON, expires_at=NOON + KEPT_FOR)
    ]
    assert failed(waiting, "No.", NOON) == [ReportFailed(report=REPORT, reason="No.", failed_at=NOON)]
    for ended in (None, Report(REPORT, ANNA, "made"), Report(REPORT, ANNA, "failed")):
        assert made(ended, file, NOON) == []
        assert failed(ended, "No.", NOON) == []
