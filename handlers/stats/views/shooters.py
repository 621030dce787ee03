"""What a shooter's sessions say together: read from what their shots add up to, however many these are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from hashlib import sha256
from math import sqrt
from statistics import fmean, stdev
from typing import Final, Literal
from uuid import UUID

from asyncpg import Record
from pydantic import Field

from bus.connection import Connection
from handlers.stats.change import FEWEST_SHOTS
from handlers.stats.comparison import compare_with_others
from handlers.stats.comparison import standings as ranked
from handlers.stats.faces import FACES
from handlers.stats.groups.figures import SAME_PLACE, Figure, absent, needs
from handlers.stats.groups.rayleigh import sigma_of
from handlers.stats.model.tally import Tally
from handlers.stats.statistics import mean_with_interval
from handlers.stats.trend import trend
from handlers.stats.views.lengths import Length
from handlers.stats.views.sums import SessionSums, sums_of
from handlers.stats.views.view import View

CONFIDENCE: Final = 0.95
MOST_SESSIONS: Final = 10_000
MOST_SERIES_SHOTS: Final = 5_000
SERIES_OF: Final = 10
MOST_RANKED: Final = 100
TOO_FEW_PEOPLE: Final = "Too few shooters share their results of this discipline in that time."

Dimension = Literal["discipline", "lane", "weapon", "weapon-type", "ammunition", "hour", "weekday"]


class MeanScore(View):
    """A mean in rings a shot, with its 95 % interval where there is enough for one."""

    value: float
    low: float | None
    high: float | None


class Part(View):
    """The sessions that have something in common: a discipline, a lane, a weapon, an hour of the day."""

    key: str = Field(description="what they have in common; `none` where it is not known or there is none")
    sessions: int
    shots: int = Field(description="match shots, misses among them")
    mean_score: float | None = Field(description="rings a shot over all shots")
    mean_of_sessions: MeanScore | None = Field(description=f"each session of {FEWEST_SHOTS} match shots counts once")
    sigma: Length = Field(description="scatter within sessions: the standard deviation of each coordinate")


class ShooterStatistics(Part):
    """How a shooter shot in a time, and by what the sessions have in common."""

    person: UUID
    discipline: str | None
    since: datetime
    until: datetime
    misses: int
    sighters: int
    hit_share: float | None = Field(description="hits among the match shots, from 0 to 1")
    inner_tens: int
    rings: list[int] = Field(description="how many match shots are worth 0, 1, … 10 rings; misses are worth 0")
    score_deviation: float | None = Field(description="of shots within a session, in rings")
    between_sessions: float | None = Field(description="standard deviation of the session means, in rings")
    centre_x: Length = Field(description="mean of all hits; of one discipline alone")
    centre_y: Length
    by: list[Part]


class Series(View):
    """Ten match shots in the order in which they came, or the rest of them."""

    ordinal: int
    shots: int
    score_tenths: int
    integer_score: int
    inner_tens: int
    mean: MeanScore | None


class SessionStability(View):
    """A session's series, and whether it held."""

    session: UUID
    series: list[Series]
    complete: bool = Field(description=f"false beyond {MOST_SERIES_SHOTS} match shots: the first are told")
    slope: MeanScore | None = Field(description="rings a shot gained per ten minutes")
    p: float | None = Field(description="how often a session that held has so steep a slope by chance, from 0 to 1")
    real: bool | None
    in_words: str


class ComparisonView(View):
    """Where a shooter stands among those who share their results."""

    discipline: str
    since: datetime
    until: datetime
    shared: bool = Field(description="whether this shooter shares")
    people: int | None = Field(description="how many are compared, this one among them")
    percentile: float | None = Field(description="how many in a hundred of the others have a lower mean")
    rank: int | None
    median: float | None = Field(description="of the means of all who are compared, in rings a shot")
    absent: str | None = Field(description="why there is no comparison")


class Place(View):
    """A place in a leaderboard."""

    rank: int
    person: UUID | None = Field(description="who, for staff; others see their own")
    you: bool
    sessions: int
    mean_score: float = Field(description="mean of the session means, in rings a shot")


class Leaderboard(View):
    """Those who share their results, the best first."""

    discipline: str
    since: datetime
    until: datetime
    places: list[Place]
    absent: str | None


class Attended(View):
    """A day on which somebody shot."""

    day: str = Field(description="the date in the time zone asked for")
    sessions: int
    minutes: int = Field(description="of finished sessions together")
    shots: int = Field(description="match shots and sighters")
    disciplines: list[str]


class Attendance(View):
    """The days on which a shooter shot. The same days always have the same digest, so a copy can be checked."""

    person: UUID
    since: datetime
    until: datetime
    time_zone: str
    days: list[Attended]
    digest: str = Field(description="SHA-256 over person and days, in hexadecimal")


async def shooter(
    connection: Connection,
    person: UUID,
    since: datetime,
    until: datetime,
    *,
    discipline: str | None,
    by: Dimension,
    zone: str,
) -> ShooterStatistics:
    """All of a shooter's sessions that began within [since, until), of one discipline or of all."""
    rows = await connection.fetch(
        """
        WITH one AS (
            SELECT *, shots + misses AS fired, shots + misses > 0 AND scored = shots AS is_scored,
                   CASE $5 WHEN 'discipline' THEN discipline WHEN 'lane' THEN lane
                           WHEN 'weapon' THEN coalesce(weapon::text, 'none')
                           WHEN 'weapon-type' THEN coalesce(weapon_type, 'none')
                           WHEN 'ammunition' THEN coalesce(lot, 'none')
                           WHEN 'hour' THEN to_char(started_at AT TIME ZONE $6, 'HH24')
                           WHEN 'weekday' THEN to_char(started_at AT TIME ZONE $6, 'FMday') END AS key
            FROM stats.session_sums
            WHERE person = $1 AND started_at >= $2 AND started_at < $3 AND ($4::text IS NULL OR discipline = $4)
        )
        SELECT key, grouping(key) = 1 AS is_whole, count(*) AS sessions, coalesce(sum(fired), 0) AS fired,
               coalesce(sum(shots), 0) AS shots, coalesce(sum(sighters), 0) AS sighters,
               coalesce(sum(inner_tens), 0) AS inner_tens,
               array_agg(DISTINCT discipline) AS disciplines, sum(sum_x_um) AS sum_x_um, sum(sum_y_um) AS sum_y_um,
               sum(score_tenths) FILTER (WHERE is_scored) AS score_tenths,
               sum(fired) FILTER (WHERE is_scored) AS fired_scored,
               count(*) FILTER (WHERE is_scored AND fired >= $7) AS long,
               avg(score_tenths::float8 / 10 / fired) FILTER (WHERE is_scored AND fired >= $7) AS mean,
               stddev_samp(score_tenths::float8 / 10 / fired) FILTER (WHERE is_scored AND fired >= $7) AS deviation,
               -- exact up to the division: what is left of two large numbers is what counts
               sum((shots * (sum_xx_um + sum_yy_um) - sum_x_um::numeric * sum_x_um - sum_y_um::numeric * sum_y_um)
                   / shots) FILTER (WHERE shots > 1)::float8 AS squares_um,
               2 * sum(shots - 1) FILTER (WHERE shots > 1) AS freedom,
               sum((fired * sum_squared_tenths - score_tenths::bigint * score_tenths)::float8 / fired)
                   FILTER (WHERE is_scored) AS squared_tenths,
               sum(fired - 1) FILTER (WHERE is_scored) AS fired_freedom,
               ARRAY[sum(misses + rings[1]) FILTER (WHERE is_scored), sum(rings[2]) FILTER (WHERE is_scored),
                     sum(rings[3]) FILTER (WHERE is_scored), sum(rings[4]) FILTER (WHERE is_scored),
                     sum(rings[5]) FILTER (WHERE is_scored), sum(rings[6]) FILTER (WHERE is_scored),
                     sum(rings[7]) FILTER (WHERE is_scored), sum(rings[8]) FILTER (WHERE is_scored),
                     sum(rings[9]) FILTER (WHERE is_scored), sum(rings[10]) FILTER (WHERE is_scored),
                     sum(rings[11]) FILTER (WHERE is_scored)] AS rings
        FROM one GROUP BY GROUPING SETS ((key), ()) ORDER BY key
        """,
        person,
        since,
        until,
        discipline,
        by,
        zone,
        FEWEST_SHOTS,
    )
    [whole] = [row for row in rows if row["is_whole"]]
    freedom, fired, shots = whole["fired_freedom"], whole["fired"], whole["shots"]
    return ShooterStatistics(
        **dict(_part(discipline or "all", whole)),
        person=person,
        discipline=discipline,
        since=since,
        until=until,
        misses=fired - shots,
        sighters=whole["sighters"],
        hit_share=shots / fired if fired else None,
        inner_tens=whole["inner_tens"],
        rings=[count or 0 for count in whole["rings"]],
        score_deviation=sqrt(max(whole["squared_tenths"], 0.0) / freedom) / 10 if freedom else None,
        between_sessions=whole["deviation"],
        centre_x=_centre(whole, "sum_x_um"),
        centre_y=_centre(whole, "sum_y_um"),
        by=[_part(row["key"], row) for row in rows if not row["is_whole"]],
    )


async def stability(connection: Connection, session: UUID, person: UUID | None) -> SessionStability | None:
    """A session's series of ten and its trend; None if there is no such session to be seen."""
    known = await connection.fetchval(
        "SELECT true FROM stats.sessions WHERE session = $1 AND ($2::uuid IS NULL OR person = $2)", session, person
    )
    if known is None:
        return None
    rows = await connection.fetch(
        """
        SELECT score_tenths, inner_ten FROM stats.shots WHERE session = $1 AND kind = 'match'
        ORDER BY received_at, device, epoch, number LIMIT $2
        """,
        session,
        MOST_SERIES_SHOTS + 1,
    )
    sums = await sums_of(connection, session=session, limit=1)
    found = trend(_tally(sums[0]) if sums else Tally())
    shots = rows[:MOST_SERIES_SHOTS]
    return SessionStability(
        session=session,
        series=[_series(n // SERIES_OF + 1, shots[n : n + SERIES_OF]) for n in range(0, len(shots), SERIES_OF)],
        complete=len(rows) <= MOST_SERIES_SHOTS,
        slope=None if found.slope is None else MeanScore(value=found.slope, low=found.low, high=found.high),
        p=found.p,
        real=found.real,
        in_words=found.in_words,
    )


async def comparison(
    connection: Connection, person: UUID, since: datetime, until: datetime, discipline: str
) -> ComparisonView:
    """A shooter among those who share; own sessions count only if they are shared."""
    means = await _shared_means(connection, since, until, discipline)
    shares = await connection.fetchval("SELECT true FROM stats.shared_results WHERE person = $1", person)
    found = compare_with_others(person, means, shares=shares is not None)
    return ComparisonView(
        discipline=discipline,
        since=since,
        until=until,
        shared=shares is not None,
        people=found.people,
        percentile=found.percentile,
        rank=found.rank,
        median=found.median,
        absent=found.absent,
    )


async def leaderboard(
    connection: Connection, viewer: UUID, since: datetime, until: datetime, discipline: str, *, staff: bool
) -> Leaderboard:
    """The best of those who share. Staff sees who they are, others only which place is their own."""
    found = ranked(await _shared_means(connection, since, until, discipline))
    return Leaderboard(
        discipline=discipline,
        since=since,
        until=until,
        places=[
            Place(
                rank=one.rank,
                person=one.person if staff or one.person == viewer else None,
                you=one.person == viewer,
                sessions=one.sessions,
                mean_score=one.mean,
            )
            for one in found[:MOST_RANKED]
        ],
        absent=None if found else TOO_FEW_PEOPLE,
    )


async def attendance(
    connection: Connection, person: UUID, since: datetime, until: datetime, zone: tzinfo
) -> Attendance:
    """The days on which sessions of a shooter began within [since, until)."""
    found = await sums_of(connection, person=person, since=since, until=until, limit=MOST_SESSIONS)
    by_day: dict[str, list[SessionSums]] = defaultdict(list)
    for one in found:
        if one.match_shots + one.sighters:
            by_day[f"{one.started_at.astimezone(zone):%Y-%m-%d}"].append(one)
    days = [_attended(day, by_day[day]) for day in sorted(by_day)]
    told = "\n".join([str(person), *(day.model_dump_json() for day in days)])
    return Attendance(
        person=person,
        since=since,
        until=until,
        time_zone=str(zone),
        days=days,
        digest=sha256(told.encode()).hexdigest(),
    )


def _attended(day: str, sessions: Sequence[SessionSums]) -> Attended:
    ended = [(one.finished_at - one.started_at).total_seconds() for one in sessions if one.finished_at is not None]
    return Attended(
        day=day,
        sessions=len(sessions),
        minutes=round(sum(ended) / 60),
        shots=sum(one.match_shots + one.sighters for one in sessions),
        disciplines=sorted({one.discipline for one in sessions}),
    )


async def _shared_means(
    connection: Connection, since: datetime, until: datetime, discipline: str
) -> Mapping[UUID, Sequence[float]]:
    rows = await connection.fetch(
        """
        SELECT s.person, s.score_tenths / 10.0::float8 / (s.shots + s.misses) AS mean
        FROM stats.shared_results AS r JOIN stats.session_sums AS s USING (person)
        WHERE s.started_at >= $1 AND s.started_at < $2 AND s.discipline = $3 AND s.finished_at IS NOT NULL
          AND s.shots + s.misses >= $4 AND s.scored = s.shots
        """,
        since,
        until,
        discipline,
        FEWEST_SHOTS,
    )
    means: dict[UUID, list[float]] = defaultdict(list)
    for row in rows:
        means[row["person"]].append(row["mean"])
    return means


def _part(key: str, row: Record) -> Part:
    mean = mean_with_interval(row["long"], row["mean"], row["deviation"]) if row["long"] else None
    return Part(
        key=key,
        sessions=row["sessions"],
        shots=row["fired"],
        mean_score=row["score_tenths"] / 10 / row["fired_scored"] if row["fired_scored"] else None,
        mean_of_sessions=None if mean is None else MeanScore(value=mean.value, low=mean.low, high=mean.high),
        sigma=Length.of(_sigma(row), _distance_m(row)),
    )


def _sigma(row: Record) -> Figure:
    """Rayleigh's sigma of the shots about their own session's centre, of all sessions together."""
    if not row["freedom"]:
        return absent(needs(2))
    if not row["squares_um"]:
        return absent(SAME_PLACE)
    return sigma_of(row["squares_um"], row["freedom"], CONFIDENCE)


def _centre(row: Record, sum_um: str) -> Length:
    if len(row["disciplines"] or ()) > 1:
        return Length.of(absent("Sessions of several disciplines have no centre together."), None)
    if not row["shots"]:
        return Length.of(absent(needs(1)), None)
    return Length.of(Figure(float(row[sum_um]) / row["shots"]), _distance_m(row))


def _distance_m(row: Record) -> int | None:
    faces = {FACES.get(one) for one in row["disciplines"] or ()}
    face = faces.pop() if len(faces) == 1 else None
    return None if face is None else face.distance_m


def _tally(sums: SessionSums) -> Tally:
    return Tally(
        shots=sums.shots,
        misses=sums.misses,
        score_tenths=sums.score_tenths,
        scored=sums.scored,
        sum_squared_tenths=sums.sum_squared_tenths,
        sum_s=sums.sum_s,
        sum_ss=sums.sum_ss,
        sum_s_tenths=sums.sum_s_tenths,
    )


def _series(ordinal: int, rows: Sequence[Record]) -> Series:
    tenths = [row["score_tenths"] for row in rows]
    scores = [one / 10 for one in tenths if one is not None]
    mean = (
        mean_with_interval(len(scores), fmean(scores), stdev(scores) if len(scores) > 1 else None) if scores else None
    )
    return Series(
        ordinal=ordinal,
        shots=len(rows),
        score_tenths=sum(one or 0 for one in tenths),
        integer_score=sum((one or 0) // 10 for one in tenths),
        inner_tens=sum(row["inner_ten"] for row in rows),
        mean=None if mean is None else MeanScore(value=mean.value, low=mean.low, high=mean.high),
    )
