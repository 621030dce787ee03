"""Sessions and shots as reports read them."""

from datetime import datetime, timedelta
from statistics import stdev
from uuid import UUID

from handlers.stats.faces import FACES
from handlers.stats.reports.reading import Session, Shot
from handlers.stats.scoring import score
from tests.handlers.scenario import NOON

PISTOL = "air-pistol-10m"


def session_of(
    places: list[tuple[int, int] | None],
    *,
    number: int = 1,
    discipline: str = PISTOL,
    lane: str = "lane-1",
    person: int = 7,
    started_at: datetime = NOON,
) -> tuple[Session, list[Shot]]:
    """A session whose match shots hit these places (in micrometres); None is a miss."""
    face = FACES.get(discipline)
    shots = [
        Shot(
            session=UUID(int=number),
            number=n,
            kind="match",
            miss=place is None,
            x_um=0 if place is None else place[0],
            y_um=0 if place is None else place[1],
            score_tenths=0 if place is None else None if face is None else int(score(face, *_apart(place))[0][0]),
            inner_ten=place is not None and face is not None and bool(score(face, *_apart(place))[1][0]),
            elapsed_ms=n * 1000,
            received_at=started_at + timedelta(seconds=n),
            device="target-1",
        )
        for n, place in enumerate(places, start=1)
    ]
    hits = [shot for shot in shots if not shot.miss]
    tenths = [shot.score_tenths or 0 for shot in shots]
    session = Session(
        session=UUID(int=number),
        person=UUID(int=person),
        lane=lane,
        discipline=discipline,
        started_at=started_at,
        finished_at=started_at + timedelta(minutes=75),
        sighters=2,
        misses=len(shots) - len(hits),
        hits=len(hits),
        score_tenths=sum(tenths),
        integer_score=sum(one // 10 for one in tenths),
        inner_tens=sum(shot.inner_ten for shot in shots),
        scored=0 if face is None else len(hits),
        deviation=stdev(tenths) / 10 if len(tenths) > 1 else None,
        mean_radius_um=5_000.0 if hits else None,
        extreme_spread_um=20_000.0 if hits else None,
    )
    return session, shots


def _apart(place: tuple[int, int]) -> tuple[list[int], list[int]]:
    return [place[0]], [place[1]]


def spread(count: int, around: tuple[int, int] = (2_000, -1_000), by: int = 6_000) -> list[tuple[int, int] | None]:
    """So many places around one, always the same."""
    return [
        (around[0] + (n * 7_919 % 2_000 - 1_000) * by // 1_000, around[1] + (n * 6_101 % 2_000 - 1_000) * by // 1_000)
        for n in range(1, count + 1)
    ]
