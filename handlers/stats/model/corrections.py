"""What people say of shots against what targets told: what one counts, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from bus.service import Effect, Given, Schedule
from handlers.stats.commands import AssignShots, CorrectShot, PublishInterim
from handlers.stats.events import ShotCorrected, ShotsAssigned
from handlers.stats.model import rules
from handlers.stats.model.telling import key_of

MOST_ASSIGNED: Final = 1000


@dataclass(frozen=True, slots=True)
class Numbered:
    """A shot as far as it matters here."""

    number: int
    session: UUID | None
    kind: Literal["sighter", "match"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether the session is known, and the shots that are spoken of."""

    session_known: bool
    shots: Sequence[Numbered]


def correct_shot(claim: Claim, asked: CorrectShot, given: Given) -> list[Effect]:
    """The shot must be the session's; the result is told anew."""
    if given.person is None:
        raise rules.OnlyPeopleCorrect
    shot = next((one for one in claim.shots if one.session == asked.session), None)
    if shot is None:
        raise rules.NoSuchShot
    return [
        ShotCorrected(
            session=asked.session,
            device=asked.device,
            epoch=asked.epoch,
            number=asked.number,
            reason=asked.reason,
            counts=asked.counts,
            kind=asked.kind or shot.kind,
            score_tenths=asked.score_tenths if asked.counts else None,
            corrected_by=given.actor,
            corrected_at=given.asked_at,
        ),
        _tell(asked.session, given),
    ]


def assign_shots(claim: Claim, asked: AssignShots, given: Given) -> list[Effect]:
    """All that is known of the numbers goes to the session, and is told there and where it was before."""
    if given.person is None:
        raise rules.OnlyPeopleCorrect
    if asked.last < asked.first:
        raise rules.NumbersBackwards
    if not claim.session_known:
        raise rules.NoSuchSession
    if not claim.shots:
        raise rules.NoSuchShots
    if len(claim.shots) > MOST_ASSIGNED:
        raise rules.TooManyShots(most=MOST_ASSIGNED)
    touched = {asked.session, *(shot.session for shot in claim.shots if shot.session is not None)}
    return [
        ShotsAssigned(
            session=asked.session,
            device=asked.device,
            epoch=asked.epoch,
            numbers=tuple(shot.number for shot in claim.shots),
            reason=asked.reason,
            assigned_by=given.actor,
            assigned_at=given.asked_at,
        ),
        *(_tell(session, given) for session in sorted(touched)),
    ]


def _tell(session: UUID, given: Given) -> Schedule:
    return Schedule(key_of(session), given.at, PublishInterim(session=session))
