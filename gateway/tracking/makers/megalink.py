"""Megalink Live: a tree of JSON that the range keeps up to date, with all series of a firing point; pure.

Version 2 tells millimetres and the hole's radius; version 1 fractions of the face's outer radius, and the gauge as a
fraction of its outer diameter, by which the face is known. Values are display strings: an inner ten is `10.6x` or
`*10.5`, a series that is not decimal truncates, `Style:{…}` may follow, and a character of private use stands for a
shot that is none. Numbers are the series' and the shot's in it.

After null-jones/rpi-megalink-viewer, docs/PROTOCOL.md (MIT).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.found import MOST_SHOTS, At, Members, hashed, members, micrometres, number, tenths
from gateway.tracking.shots import NotUnderstood, Sighted

SERIES_NUMBERS: Final = 1000  # a series' numbers begin at its own thousand
MOST_SERIES: Final = 200
NO_SHOTS: Final = frozenset("\ue007\ue008\ue009\ue00a\ue00c\ue00d\ue00e\ue00f\ue013\ue014\ue015\ufffd")
STYLE: Final = re.compile(r"Style:\{.*\}\s*$", re.DOTALL)
VALUE: Final = re.compile(r"\*?(\d{1,2}\.\d)x?")
OF_GAUGE: Final = (
    # gauge and outer diameter in millimetres: their ratio is what version 1 tells
    (Decimal("4.5"), Decimal("45.5"), "air-rifle-10m"),
    (Decimal("4.5"), Decimal("155.5"), "air-pistol-10m"),
    (Decimal("5.6"), Decimal("154.4"), "rifle-50m"),
    (Decimal("5.6"), Decimal(500), "pistol-50m"),
    (Decimal("8.0"), Decimal(1000), "rifle-300m"),
    (Decimal("5.6"), Decimal("83.0"), None),  # the Norwegian 15 m face
)
SAME_RATIO: Final = Decimal("0.0002")
FACES: Final = (("ISSF10R", "air-rifle-10m"), ("ISSF10P", "air-pistol-10m"), ("ISSF50R", "rifle-50m"),
                ("ISSF50P", "pistol-50m"), ("ISSF300R", "rifle-300m"))  # fmt: skip


class _Scale(NamedTuple):
    unit_mm: Decimal
    face: str | None


def points(tree: Any) -> Iterator[tuple[str, Members]]:
    """The firing points in a range's tree, of either version, each with what stands there."""
    if not isinstance(tree, dict):
        return
    inner = tree.get("data")
    for key in ("fp", "results"):
        found = inner.get(key) if isinstance(inner, dict) else tree.get(key)
        named = enumerate(found) if isinstance(found, list) else found.items() if isinstance(found, dict) else ()
        for name, node in named:
            if isinstance(node, dict) and "series" in node:
                yield str(name)[:16], node


def read(raw: bytes, context: str) -> list[At]:
    """The shots of a firing point, as it stands now: `raw` is its node, `context` its name."""
    node = members(raw)
    if node is None:
        return [At(context, Wrong(raw, "it is no JSON object"))]
    found: list[At] = []
    epoch = ""
    for place, series in _numbered(node.get("series"), MOST_SERIES):
        if isinstance(series, dict):
            shots = _numbered(series.get("shots"), min(MOST_SHOTS, SERIES_NUMBERS - 1))
            epoch = epoch or _card(node, shots)
            found += _series(raw, context, epoch, place, series, shots)
    return found[: MOST_SERIES * MOST_SHOTS]


def _card(node: Members, shots: Sequence[tuple[int, object]]) -> str:
    """What tells a shooter's card from the one before at this point: the relay, and the very first shot."""
    first = next((shot for _, shot in shots if isinstance(shot, dict)), None)
    if first is None:
        return ""
    told = [str(node.get("relay")), *(str(first.get(name)) for name in ("v", "value", "x", "y", "t"))]
    return f"card:{hashed(chr(0).join(told).encode())[:16]}"


def _series(
    raw: bytes, point: str, epoch: str, place: int, series: Members, shots: Sequence[tuple[int, object]]
) -> Iterator[At]:
    for index, shot in shots:
        try:
            told = _sighted(raw, epoch, (place + 1) * SERIES_NUMBERS + index, series, shot)
        except NotUnderstood as error:
            yield At(point, Wrong(raw, str(error)))
        else:
            if told is not None:
                yield At(point, told)


def _sighted(raw: bytes, epoch: str, known_by: int, series: Members, shot: object) -> Sighted | None:
    if not isinstance(shot, dict):
        return None
    text = STYLE.sub("", str(shot.get("v", shot.get("value", "")))).strip()
    if not text or NO_SHOTS & set(text):
        return None
    scale = _scale(series)
    value = VALUE.fullmatch(text.strip("\ue001\ue002\ue003\ue004\ue011\ue012 "))
    score = None if value is None else tenths(value[1], "value")
    decimal = series.get("decimal") is True
    sighter: Literal["sighter", "match"] = (
        "sighter" if series.get("type") == "SIGHT" or series.get("sight") is True else "match"
    )
    return Sighted(
        number=known_by,
        kind=sighter,
        miss=False,
        x_um=micrometres(shot.get("x"), "x", scale.unit_mm),
        y_um=micrometres(shot.get("y"), "y", scale.unit_mm),
        elapsed_ms=None,  # its unit differs by discipline
        face=scale.face,
        raw_sha256=hashed(raw),
        epoch=epoch,
        consecutive=False,
        device_tenths=score if decimal else None,
        device_rings=None if score is None else score // 10,
        device_inner=None if score is None else text.endswith("x") or text.startswith("*"),
    )


def _scale(series: Members) -> _Scale:
    target = str(series.get("targetId", ""))
    named = next((face for begins, face in FACES if target.startswith(begins)), None)
    if "gaugeSize" not in series:
        return _Scale(Decimal(1), named)
    ratio = number(series["gaugeSize"], "gaugeSize")
    for gauge_mm, outer_mm, face in OF_GAUGE:
        if abs(gauge_mm / outer_mm - ratio) < SAME_RATIO:
            return _Scale(outer_mm / 2, face)
    raise NotUnderstood("its target is not known, so a fraction of it is no length")


def _numbered(found: object, most: int) -> Sequence[tuple[int, object]]:
    """The entries of a list, or of what Firebase makes of a list with holes, by their places."""
    if isinstance(found, list):
        return list(enumerate(found[: most + 1]))
    if not isinstance(found, dict):
        return []
    places = ((int(key), one) for key, one in found.items() if isinstance(key, str) and re.fullmatch(r"\d{1,3}", key))
    return sorted(((place, one) for place, one in places if place <= most), key=lambda pair: pair[0])
