"""What a session's shots are worth, and what they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import add
from typing import Final, NamedTuple, Protocol

from handlers.stats.events import Group
from handlers.stats.faces import FACES, Face
from handlers.stats.model.attribution import Session
from handlers.stats.scoring import score
from handlers.stats.statistics import Point, convex_hull, extreme_spread, mean_score


class Shot(Protocol):
    """What counts of a shot, be it just reported or known for long."""

    @property
    def kind(self) -> str: ...
    @property
    def miss(self) -> bool: ...
    @property
    def x_um(self) -> int: ...
    @property
    def y_um(self) -> int: ...
    @property
    def face(self) -> str | None: ...
    @property
    def invalid(self) -> str | None: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def number(self) -> int: ...


class Worth(NamedTuple):
    """A shot's score in tenths of a ring (None where no face says what it is worth), and whether it is an inner ten."""

    tenths: int | None
    inner_ten: bool


UNKNOWN: Final = Worth(None, inner_ten=False)
MISSED: Final = Worth(0, inner_ten=False)


def worths(shots: Sequence[Shot], sessions: Sequence[Session | None]) -> list[Worth]:
    """Score each shot for the session it belongs to; a shot of no session is not scored."""
    scored = [UNKNOWN] * len(shots)
    of_face: dict[Face, list[int]] = defaultdict(list)
    for i, (shot, session) in enumerate(zip(shots, sessions, strict=True)):
        if session is None:
            continue
        if shot.miss or shot.invalid is not None:
            scored[i] = MISSED
        elif (face := _face(session, shot)) is not None:
            of_face[face].append(i)
    for face, indices in of_face.items():
        tenths, inner = score(face, [shots[i].x_um for i in indices], [shots[i].y_um for i in indices])
        for i, worth in zip(indices, zip(tenths.tolist(), inner.tolist(), strict=True), strict=True):
            scored[i] = Worth(*worth)
    return scored


def _face(session: Session, shot: Shot) -> Face | None:
    """The session's discipline names the face; where it names none, what the target says it shows."""
    return FACES.get(session.discipline) or FACES.get(shot.face or "")


BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)  # sums of times are exact, so it matters not since when
SECOND: Final = timedelta(seconds=1)
RINGS: Final = 11
NO_RINGS: Final = (0,) * RINGS


@dataclass(frozen=True, slots=True)
class Tally:
    """What a session's shots add up to so far. Sums of the same shots are equal, in whatever order they came."""

    shots: int = 0
    sighters: int = 0
    misses: int = 0
    score_tenths: int = 0
    integer_score: int = 0
    inner_tens: int = 0
    sum_x_um: int = 0
    sum_y_um: int = 0
    hull: tuple[Point, ...] = ()
    last: tuple[datetime, int] | None = None  # when the last shot came, and its number
    scored: int = 0  # hits that have a score; none has where no face is known
    rings: tuple[int, ...] = NO_RINGS  # how many hits of each ring from 0 to 10
    sum_squared_tenths: int = 0
    sum_xx_um: int = 0
    sum_xy_um: int = 0
    sum_yy_um: int = 0
    # of every match shot with a score, misses among them: when it came, in seconds since BEGINNING
    sum_s: int = 0
    sum_ss: int = 0
    sum_s_tenths: int = 0

    @staticmethod
    def of(scored: Sequence[tuple[Shot, Worth]]) -> Tally:
        match = [pair for pair in scored if pair[0].kind == "match"]
        hits = [pair for pair in match if not pair[0].miss]
        timed = [
            ((shot.received_at - BEGINNING) // SECOND, 0 if shot.miss else worth.tenths)
            for shot, worth in match
            if worth.tenths is not None
        ]
        return Tally(
            shots=len(hits),
            sighters=len(scored) - len(match),
            misses=len(match) - len(hits),
            score_tenths=sum(worth.tenths or 0 for _, worth in hits),
            integer_score=sum((worth.tenths or 0) // 10 for _, worth in hits),
            inner_tens=sum(worth.inner_ten for _, worth in hits),
            sum_x_um=sum(shot.x_um for shot, _ in hits),
            sum_y_um=sum(shot.y_um for shot, _ in hits),
            hull=convex_hull((shot.x_um, shot.y_um) for shot, _ in hits),
            last=max(((shot.received_at, shot.number) for shot, _ in scored), default=None),
            scored=sum(worth.tenths is not None for _, worth in hits),
            rings=_rings(worth.tenths for _, worth in hits),
            sum_squared_tenths=sum((worth.tenths or 0) ** 2 for _, worth in hits),
            sum_xx_um=sum(shot.x_um * shot.x_um for shot, _ in hits),
            sum_xy_um=sum(shot.x_um * shot.y_um for shot, _ in hits),
            sum_yy_um=sum(shot.y_um * shot.y_um for shot, _ in hits),
            sum_s=sum(seconds for seconds, _ in timed),
            sum_ss=sum(seconds * seconds for seconds, _ in timed),
            sum_s_tenths=sum(seconds * tenths for seconds, tenths in timed),
        )

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            shots=self.shots + other.shots,
            sighters=self.sighters + other.sighters,
            misses=self.misses + other.misses,
            score_tenths=self.score_tenths + other.score_tenths,
            integer_score=self.integer_score + other.integer_score,
            inner_tens=self.inner_tens + other.inner_tens,
            sum_x_um=self.sum_x_um + other.sum_x_um,
            sum_y_um=self.sum_y_um + other.sum_y_um,
            hull=convex_hull((*self.hull, *other.hull)),
            last=max((one for one in (self.last, other.last) if one is not None), default=None),
            scored=self.scored + other.scored,
            rings=tuple(map(add, self.rings, other.rings)),
            sum_squared_tenths=self.sum_squared_tenths + other.sum_squared_tenths,
            sum_xx_um=self.sum_xx_um + other.sum_xx_um,
            sum_xy_um=self.sum_xy_um + other.sum_xy_um,
            sum_yy_um=self.sum_yy_um + other.sum_yy_um,
            sum_s=self.sum_s + other.sum_s,
            sum_ss=self.sum_ss + other.sum_ss,
            sum_s_tenths=self.sum_s_tenths + other.sum_s_tenths,
        )

    @property
    def count(self) -> int:
        return self.shots + self.sighters + self.misses

    def group(self, mean_radius_um: float | None) -> Group:
        """The group in numbers; its mean radius needs every shot and comes from outside."""
        n = self.shots
        return Group(
            shots=n,
            score_tenths=self.score_tenths,
            integer_score=self.integer_score,
            inner_tens=self.inner_tens,
            mean_score=mean_score(self.score_tenths, n + self.misses),
            centre_x_um=self.sum_x_um / n if n else None,
            centre_y_um=self.sum_y_um / n if n else None,
            mean_radius_um=mean_radius_um,
            extreme_spread_um=extreme_spread(n, self.hull),
        )


def _rings(tenths: Iterable[int | None]) -> tuple[int, ...]:
    counts = [0] * RINGS
    for one in tenths:
        if one is not None:
            counts[one // 10] += 1
    return tuple(counts)
