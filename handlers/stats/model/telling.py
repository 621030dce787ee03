"""When it is told how a session stands, and what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.service import Effect, Given, Schedule, Unschedule
from handlers.stats.commands import PublishInterim
from handlers.stats.events import Group, InterimScored, SessionScored
from handlers.stats.model.attribution import Session
from handlers.stats.model.tally import Tally

TELL_AFTER_SHOTS: Final = 10
TELL_EVERY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of a session."""

    final: bool
    shots: int
    sighters: int
    misses: int
    score_tenths: int
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a session stands. `whole` describes all its shots and is there once it is finished."""

    session: Session
    tally: Tally
    told: Told | None
    mean_radius_um: float | None = None
    whole: Group | None = None

    @property
    def to_be_told(self) -> bool:
        """Whether what was last told of it holds no more."""
        told, tally = self.told, self.tally
        if told is None:
            return tally.count > 0 or self.session.finished_at is not None
        if self.session.finished_at is not None and not told.final:
            return True
        was = (told.shots, told.sighters, told.misses, told.score_tenths)
        return was != (tally.shots, tally.sighters, tally.misses, tally.score_tenths)


def tell_what_changed(standings: Sequence[Standing], _: object, given: Given) -> list[Effect]:
    """Shots came, or a session began or ended: tell how each stands, now or soon, if that is not told yet."""
    effects: list[Effect] = []
    for standing in standings:
        if not standing.to_be_told:
            continue
        due_at = _due_at(standing, given.at)
        if due_at <= given.at:
            effects += [_told_now(standing, given), Unschedule(key_of(standing.session.session))]
        else:
            effects.append(
                Schedule(key_of(standing.session.session), due_at, PublishInterim(session=standing.session.session))
            )
    return effects


def tell(standing: Standing, _: PublishInterim, given: Given) -> list[Effect]:
    """Say how a session stands, told before or not: whoever asks is answered."""
    return [_told_now(standing, given)]


def _due_at(standing: Standing, at: datetime) -> datetime:
    told = standing.told
    if told is None or standing.session.finished_at is not None:
        return at
    if abs(standing.tally.count - (told.shots + told.sighters + told.misses)) >= TELL_AFTER_SHOTS:
        return at
    if told.scored_at > at:  # the clock was set back
        return at
    return told.scored_at + TELL_EVERY


def _told_now(standing: Standing, given: Given) -> InterimScored | SessionScored:
    return _interim(standing, given) if standing.session.finished_at is None else _final(standing, given)


def key_of(session: UUID) -> str:
    """Under which key a session's next telling is scheduled."""
    return f"interim:{session}"


def _interim(standing: Standing, given: Given) -> InterimScored:
    tally = standing.tally
    return InterimScored(
        session=standing.session.session,
        lane=standing.session.lane,
        group=tally.group(standing.mean_radius_um),
        sighters=tally.sighters,
        misses=tally.misses,
        last_number=None if tally.last is None else tally.last[1],
        scored_at=given.at,
    )


def _final(standing: Standing, given: Given) -> SessionScored:
    session = standing.session
    assert session.finished_at is not None, "only a finished session has its final score"
    assert standing.whole is not None, "a finished session is loaded with all its shots"
    return SessionScored(
        session=session.session,
        person=session.person,
        lane=session.lane,
        discipline=session.discipline,
        group=standing.whole,
        sighters=standing.tally.sighters,
        misses=standing.tally.misses,
        started_at=session.started_at,
        finished_at=session.finished_at,
        scored_at=given.at,
    )
