"""The target as it was hit: rings and holes to scale, the group's centre and its ellipse."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, pi, sin
from typing import Final

from handlers.stats.faces import Face
from handlers.stats.groups.description import Description
from handlers.stats.groups.extent import Ellipse
from handlers.stats.reports.drawing import GREY, INK, PALE, PAPER, SERIES, Drawing, round_up
from handlers.stats.reports.reading import Shot

MARGIN: Final = 1.15
SIDE_MM: Final = 84.0
NUMBERED_UP_TO: Final = 60
CORNERS: Final = 90
SERIES_OF: Final = 10
DEFAULT_HOLE_UM: Final = 4_500


def target(face: Face | None, hits: Sequence[tuple[int, Shot]], group: Description | None) -> Drawing:
    """The match shots that hit, each with its place in the session, on the face they were fired at.

    The part of the target is shown that has all of them; a bar says how large it is. Without a known face there are
    no rings, only the place aimed at.
    """
    drawing = Drawing(SIDE_MM, SIDE_MM + 7, _in_words(hits, group))
    reach_um = _reach_um(face, hits, group)
    scale = SIDE_MM / 2 / reach_um
    middle = SIDE_MM / 2

    def place(x_um: float, y_um: float) -> tuple[float, float]:
        return middle + x_um * scale, middle - y_um * scale

    drawing.box(0, 0, SIDE_MM, SIDE_MM, fill=PAPER)
    if face is not None:
        _rings(drawing, face, scale, reach_um)
    drawing.line(place(-reach_um, 0), place(reach_um, 0), stroke=PALE, width=0.1)
    drawing.line(place(0, -reach_um), place(0, reach_um), stroke=PALE, width=0.1)
    radius = max((DEFAULT_HOLE_UM if face is None else face.gauge_um) / 2 * scale, 0.7)
    for ordinal, shot in hits:
        x, y = place(shot.x_um, shot.y_um)
        colour = SERIES[(ordinal - 1) // SERIES_OF % len(SERIES)]
        drawing.circle(x, y, radius, fill=colour + "b0", stroke="#ffffff", width=0.12)
        if len(hits) <= NUMBERED_UP_TO:
            drawing.text(x, y, str(ordinal), size=min(max(radius * 2.6, 3.2), 7), fill="#ffffff", bold=True)
    if group is not None and isinstance(group.ellipse, Ellipse) and group.centre_x.value is not None:
        assert group.centre_y.value is not None
        points = _ellipse(group.ellipse, group.centre_x.value, group.centre_y.value)
        drawing.polygon([place(*point) for point in points], stroke=INK, width=0.3)
    if group is not None and group.centre_x.value is not None and group.centre_y.value is not None:
        x, y = place(group.centre_x.value, group.centre_y.value)
        drawing.line((x - 2.2, y), (x + 2.2, y), stroke="#ffffff", width=0.9)
        drawing.line((x, y - 2.2), (x, y + 2.2), stroke="#ffffff", width=0.9)
        drawing.line((x - 2.2, y), (x + 2.2, y), stroke=INK, width=0.4)
        drawing.line((x, y - 2.2), (x, y + 2.2), stroke=INK, width=0.4)
    _bar(drawing, scale, reach_um)
    return drawing


def _rings(drawing: Drawing, face: Face, scale: float, reach_um: float) -> None:
    middle = SIDE_MM / 2
    radii = {ring: (face.ring10_um + (10 - ring) * face.step_um) / 2 for ring in range(face.lowest, 11)}
    for ring, radius_um in radii.items():
        if radius_um <= reach_um:
            drawing.circle(middle, middle, radius_um * scale, stroke=GREY, width=0.4 if ring == 10 else 0.18)
    step = face.step_um / 2 * scale
    for ring, radius_um in radii.items():
        if ring < 10 and step > 3 and radius_um * scale <= middle:
            at = (radius_um * scale) - step / 2
            for x, y in ((middle + at, middle), (middle - at, middle), (middle, middle + at), (middle, middle - at)):
                drawing.text(x, y, str(ring), size=6, fill=GREY)


def _reach_um(face: Face | None, hits: Sequence[tuple[int, Shot]], group: Description | None) -> float:
    """Half the side of what is shown."""
    reach: float = 0.0
    hole = DEFAULT_HOLE_UM if face is None else face.gauge_um
    for _, shot in hits:
        reach = max(reach, abs(shot.x_um) + hole / 2, abs(shot.y_um) + hole / 2)
    if group is not None and isinstance(group.ellipse, Ellipse):
        assert group.centre_x.value is not None
        assert group.centre_y.value is not None
        points = _ellipse(group.ellipse, group.centre_x.value, group.centre_y.value)
        reach = max(reach, *(max(abs(x), abs(y)) for x, y in points))
    if face is not None:
        lowest = (face.ring10_um + (10 - face.lowest) * face.step_um) / 2
        nearest = (face.ring10_um + 2 * face.step_um) / 2  # never closer than the 8 ring
        reach = max(reach, nearest) if hits else lowest
    return max(reach, 1_000.0) * MARGIN


def _ellipse(ellipse: Ellipse, x_um: float, y_um: float) -> list[tuple[float, float]]:
    turn = ellipse.angle_deg / 180 * pi
    points = []
    for n in range(CORNERS):
        along = ellipse.semi_major * cos(2 * pi * n / CORNERS)
        across = ellipse.semi_minor * sin(2 * pi * n / CORNERS)
        points.append((x_um + along * cos(turn) - across * sin(turn), y_um + along * sin(turn) + across * cos(turn)))
    return points


def _bar(drawing: Drawing, scale: float, reach_um: float) -> None:
    length_mm = round_up(reach_um / 1000 / 5)
    long = length_mm * 1000 * scale
    y = SIDE_MM + 3.2
    for a, b in (((0, y), (long, y)), ((0, y - 0.9), (0, y + 0.9)), ((long, y - 0.9), (long, y + 0.9))):
        drawing.line(a, b, stroke=INK, width=0.25)
    drawing.text(long + 1.5, y, f"{length_mm:g} mm", size=7, at="left")


def _in_words(hits: Sequence[tuple[int, Shot]], group: Description | None) -> str:
    if not hits or group is None or group.centre_x.value is None or group.centre_y.value is None:
        return "The target, without a hit."
    x, y = group.centre_x.value / 1000, group.centre_y.value / 1000
    return (
        f"The target with {len(hits)} hits. Their centre lies {abs(x):.1f} mm {'right' if x >= 0 else 'left'} and "
        f"{abs(y):.1f} mm {'above' if y >= 0 else 'below'} of the target's centre, {hypot(x, y):.1f} mm off."
    )
