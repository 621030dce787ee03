"""Stats' table of contents."""

from __future__ import annotations

from bus.service import ApplyMany, Hears, Service
from handlers.booking.events import CeaseFireOrdered, FireResumed, SessionFinished, SessionStarted
from handlers.stats.commands import PublishInterim
from handlers.stats.events import CommandFailed, CommandRejected, InterimScored, SessionScored, ShotRecorded
from handlers.stats.model.telling import tell, tell_what_changed
from handlers.stats.store import cease_fires, folds, standings


def service() -> Service:
    return Service(
        name="stats",
        hears=[
            Hears(ShotRecorded, standings.of_shots, tell_what_changed, batch=True),
            Hears(SessionStarted, standings.of_start, tell_what_changed),
            Hears(SessionFinished, standings.of_finish, tell_what_changed),
            Hears(PublishInterim, standings.of_session, tell),
        ],
        says=[InterimScored, SessionScored],
        applies={
            ShotRecorded: ApplyMany(folds.shots_recorded),
            SessionStarted: folds.session_started,
            SessionFinished: folds.session_finished,
            CeaseFireOrdered: cease_fires.cease_fire_ordered,
            FireResumed: cease_fires.fire_resumed,
            InterimScored: folds.result_told,
            SessionScored: folds.result_told,
        },
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
        asks_itself=[PublishInterim],
    )
