"""What a session's shots say as a group: every measure, with its interval or the reason why it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from asyncpg import Record
from pydantic import Field

from bus.connection import Connection
from handlers.stats.faces import FACES, Face
from handlers.stats.groups import normal, ranges, rayleigh
from handlers.stats.groups.aim import Aim
from handlers.stats.groups.circular_error import CircularError
from handlers.stats.groups.description import Description, describe
from handlers.stats.groups.extent import Ellipse
from handlers.stats.groups.figures import Figure, absent
from handlers.stats.views.lengths import UM_PER_MM, Length, Share
from handlers.stats.views.view import View

MOST_DESCRIBED: Final = 5_000

Lengths = Callable[[Figure], Length]


class Covariance(View):
    """How the two coordinates scatter and go together, in square millimetres."""

    xx_mm2: float
    xy_mm2: float
    yy_mm2: float


class AimTest(View):
    """Whether the group is off its aim, by Hotelling's test of its centre."""

    t_squared: float | None
    p: float | None = Field(description="how often a group that is not off lies at least as far off by chance")
    off_aim: bool | None = Field(description="whether p is below 1 - confidence")
    absent: str | None = Field(description="why it could not be tested")

    @classmethod
    def of(cls, aim: Aim, confidence: float) -> AimTest:
        off_aim = None if aim.p is None else aim.p < 1 - confidence
        return cls(t_squared=aim.t_squared, p=aim.p, off_aim=off_aim, absent=aim.absent)


class SmallestCircle(View):
    """The smallest circle around all shots."""

    x_mm: float
    y_mm: float
    radius: Length


class ShareEllipse(View):
    """The ellipse that holds the share of shots that `confidence` says."""

    semi_major: Length
    semi_minor: Length
    aspect_ratio: float
    angle_deg: float = Field(description="of the longer axis, from the x axis anticlockwise")
    factor: float = Field(description="half an axis in standard deviations along it")


class RadiusOfShare(View):
    """The radius around the group's centre that holds a share of all shots (CEP), by each estimator."""

    share: float
    rayleigh: Length
    grubbs_patnaik: Length
    grubbs_pearson: Length
    correlated_normal: Length
    rmse: Length
    rand: Length

    @classmethod
    def of(cls, error: CircularError, length: Lengths) -> RadiusOfShare:
        return cls(
            share=error.share,
            rayleigh=length(error.rayleigh),
            grubbs_patnaik=length(error.grubbs_patnaik),
            grubbs_pearson=length(error.grubbs_pearson),
            correlated_normal=length(error.correlated_normal),
            rmse=length(error.rmse),
            rand=length(error.rand),
        )


class ChanceOfTen(View):
    """How likely a shot is a ten: with the sights set as they are, and if the group's centre were on the aim."""

    as_set: Share
    centred: Share
    centred_by_rayleigh: Share


class OutlierShots(View):
    """The shots that do not belong to the rest, by median and median distance; one clean group in twenty has one."""

    numbers: list[int]
    beyond: Length = Field(description="how far from the group's median a shot must lie to be one")


class GroupStatistics(View):
    """A session's match shots that hit, as a group. Lengths have three units; what is not there says why."""

    session: UUID
    discipline: str
    distance_m: int | None
    confidence: float
    shots: int
    misses: int
    complete: bool = Field(description=f"false if there are more than {MOST_DESCRIBED} match shots: the first are told")
    centre_x: Length
    centre_y: Length
    offset: Length
    aim: AimTest
    deviation_x: Length
    deviation_y: Length
    covariance: Covariance | None
    extreme_spread: Length
    figure_of_merit: Length
    box_width: Length
    box_height: Length
    box_diagonal: Length
    smallest_circle: SmallestCircle | None
    ellipse: ShareEllipse | None
    ellipse_absent: str | None
    mean_radius: Length
    median_radius: Length
    sigma: Length = Field(description="Rayleigh's sigma: the standard deviation of each coordinate")
    sigma_from_extreme_spread: Length
    sigma_from_figure_of_merit: Length
    sigma_from_diagonal: Length
    expected_mean_radius: Length = Field(description="of all shots fired this way, from sigma")
    expected_radial_deviation: Length = Field(description="of their distances from the centre, from sigma")
    radii: list[RadiusOfShare]
    ten: ChanceOfTen | None = Field(description="none where no face is known for the discipline")
    kuchnost: Length
    outliers: OutlierShots


async def statistics(
    connection: Connection, session: UUID, person: UUID | None, *, confidence: float
) -> GroupStatistics | None:
    """What a session's match shots say as a group; None if there is no such session to be seen."""
    discipline = await connection.fetchval(
        "SELECT discipline FROM stats.sessions WHERE session = $1 AND ($2::uuid IS NULL OR person = $2)",
        session,
        person,
    )
    if discipline is None:
        return None
    rows = await connection.fetch(
        """
        SELECT number, miss, x_um, y_um FROM stats.shots
        WHERE session = $1 AND ($2::uuid IS NULL OR person = $2) AND kind = 'match'
        ORDER BY received_at, device, epoch, number LIMIT $3
        """,
        session,
        person,
        MOST_DESCRIBED + 1,
    )
    return _of(session, discipline, rows, confidence)


def _of(session: UUID, discipline: str, rows: Sequence[Record], confidence: float) -> GroupStatistics:
    hits = [row for row in rows[:MOST_DESCRIBED] if not row["miss"]]
    d = describe([row["x_um"] for row in hits], [row["y_um"] for row in hits], confidence=confidence)
    face = FACES.get(discipline)
    distance_m = None if face is None else face.distance_m

    def length(figure_um: Figure) -> Length:
        return Length.of(figure_um, distance_m)

    return GroupStatistics(
        session=session,
        discipline=discipline,
        distance_m=distance_m,
        confidence=confidence,
        shots=len(hits),
        misses=min(len(rows), MOST_DESCRIBED) - len(hits),
        complete=len(rows) <= MOST_DESCRIBED,
        centre_x=length(d.centre_x),
        centre_y=length(d.centre_y),
        offset=length(d.offset),
        aim=AimTest.of(d.aim, confidence),
        deviation_x=length(d.deviation_x),
        deviation_y=length(d.deviation_y),
        covariance=_covariance(d),
        extreme_spread=length(d.extreme_spread),
        figure_of_merit=length(d.figure_of_merit),
        box_width=length(d.width),
        box_height=length(d.height),
        box_diagonal=length(d.diagonal),
        smallest_circle=_circle(d, length),
        ellipse=_ellipse(d.ellipse, length) if isinstance(d.ellipse, Ellipse) else None,
        ellipse_absent=None if isinstance(d.ellipse, Ellipse) else d.ellipse,
        mean_radius=length(d.mean_radius),
        median_radius=length(d.median_radius),
        sigma=length(d.sigma),
        sigma_from_extreme_spread=length(ranges.from_extreme_spread(d.extreme_spread, d.shots.n)),
        sigma_from_figure_of_merit=length(ranges.from_figure_of_merit(d.figure_of_merit, d.shots.n)),
        sigma_from_diagonal=length(ranges.from_diagonal(d.diagonal, d.shots.n)),
        expected_mean_radius=length(d.expected_mean_radius),
        expected_radial_deviation=length(d.expected_radial_deviation),
        radii=[RadiusOfShare.of(error, length) for error in d.circular_errors],
        ten=None if face is None else _chance_of_ten(d, face),
        kuchnost=length(d.kuchnost),
        outliers=OutlierShots(
            numbers=[hits[i]["number"] for i in d.outliers.indices],
            beyond=length(absent(d.outliers.absent) if d.outliers.absent else Figure(d.outliers.limit)),
        ),
    )


def _covariance(d: Description) -> Covariance | None:
    if d.covariance is None:
        return None
    xx, xy, yy = (one / UM_PER_MM**2 for one in d.covariance)
    return Covariance(xx_mm2=xx, xy_mm2=xy, yy_mm2=yy)


def _circle(d: Description, length: Lengths) -> SmallestCircle | None:
    if (circle := d.smallest_circle) is None:
        return None
    return SmallestCircle(x_mm=circle.x / UM_PER_MM, y_mm=circle.y / UM_PER_MM, radius=length(Figure(circle.radius)))


def _ellipse(ellipse: Ellipse, length: Lengths) -> ShareEllipse:
    return ShareEllipse(
        semi_major=length(Figure(ellipse.semi_major)),
        semi_minor=length(Figure(ellipse.semi_minor)),
        aspect_ratio=ellipse.semi_major / ellipse.semi_minor,
        angle_deg=ellipse.angle_deg,
        factor=ellipse.factor,
    )


def _chance_of_ten(d: Description, face: Face) -> ChanceOfTen:
    reach = face.ten_reach_um
    return ChanceOfTen(
        as_set=Share.of(normal.share_within_of_aim(d.shots, reach)),
        centred=Share.of(normal.share_within(d.shots, reach)),
        centred_by_rayleigh=Share.of(rayleigh.share_within(d.sigma, reach)),
    )
