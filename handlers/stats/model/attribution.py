"""To which session a shot belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Session:
    """A shooter's time on a lane, from the start to the instructor's finish."""

    session: UUID
    person: UUID
    lane: str
    discipline: str
    started_at: datetime
    finished_at: datetime | None

    def contains(self, moment: datetime) -> bool:
        return self.started_at <= moment and (self.finished_at is None or moment < self.finished_at)


class Attribution:
    """Says to which session a shot belongs: the one of its lane whose time contains it.

    Should two of a lane overlap (the next shooter began before the one before was finished), the later start has
    it. The answer depends on the sessions and the shot alone, never on the order in which they became known.
    """

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._by_lane: dict[str, list[Session]] = {}
        for session in sorted(sessions, key=lambda s: (s.started_at, s.session), reverse=True):
            self._by_lane.setdefault(session.lane, []).append(session)

    def of(self, lane: str, received_at: datetime) -> Session | None:
        return next((s for s in self._by_lane.get(lane, ()) if s.contains(received_at)), None)
