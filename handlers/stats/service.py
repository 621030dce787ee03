"""Stats' table of contents."""

from __future__ import annotations

from bus.service import ApplyMany, Hears, Outside, Service
from handlers.armory.events import WeaponAdded, WeaponIssued
from handlers.auth.events import PersonErased
from handlers.booking.events import CeaseFireOrdered, FireResumed, SessionFinished, SessionStarted
from handlers.stats.commands import (
    AssignShots,
    CorrectShot,
    OrderClubReport,
    OrderSeasonReport,
    OrderSessionCard,
    PublishInterim,
    RetryReport,
    ShareResults,
)
from handlers.stats.events import (
    CommandFailed,
    CommandRejected,
    InterimScored,
    ReportFailed,
    ReportMade,
    ReportOrdered,
    ReportRetried,
    ResultsShared,
    SessionScored,
    ShotCorrected,
    ShotRecorded,
    ShotsAssigned,
)
from handlers.stats.model.corrections import assign_shots, correct_shot
from handlers.stats.model.reports import order_club_report, order_season_report, order_session_card, retry_report
from handlers.stats.model.sharing import share_results
from handlers.stats.model.telling import tell, tell_what_changed
from handlers.stats.reports.office import make_reports
from handlers.stats.store import cease_fires, corrections, folds, reports, sharing, standings


def service() -> Service:
    return Service(
        name="stats",
        hears=[
            Hears(ShotRecorded, standings.of_shots, tell_what_changed, batch=True),
            Hears(SessionStarted, standings.of_start, tell_what_changed),
            Hears(SessionFinished, standings.of_finish, tell_what_changed),
            Hears(PublishInterim, standings.of_session, tell),
            Hears(CorrectShot, corrections.correction, correct_shot),
            Hears(AssignShots, corrections.assignment, assign_shots),
            Hears(OrderSessionCard, reports.card_wish, order_session_card),
            Hears(OrderSeasonReport, reports.season_wish, order_season_report),
            Hears(OrderClubReport, reports.club_wish, order_club_report),
            Hears(RetryReport, reports.retry_wish, retry_report),
            Hears(ShareResults, None, share_results),
        ],
        says=[
            InterimScored,
            SessionScored,
            ShotCorrected,
            ShotsAssigned,
            ReportOrdered,
            ReportRetried,
            ReportMade,
            ReportFailed,
            ResultsShared,
        ],
        applies={
            ShotRecorded: ApplyMany(folds.shots_recorded),
            SessionStarted: folds.session_started,
            SessionFinished: folds.session_finished,
            CeaseFireOrdered: cease_fires.cease_fire_ordered,
            FireResumed: cease_fires.fire_resumed,
            ShotCorrected: corrections.shot_corrected,
            ShotsAssigned: corrections.shots_assigned,
            InterimScored: folds.result_told,
            SessionScored: folds.result_told,
            ReportOrdered: reports.ordered,
            ReportRetried: reports.retried,
            ReportMade: reports.made,
            ReportFailed: reports.failed,
            ResultsShared: sharing.shared,
            WeaponAdded: sharing.weapon_added,
            WeaponIssued: sharing.weapon_issued,
            PersonErased: reports.forgotten,
        },
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
        asks_itself=[PublishInterim],
        kept_tables=frozenset({"report_progress", "report_file"}),
        outside=[Outside("reports", make_reports)],
    )
