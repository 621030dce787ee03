"""DISAG OpticScore "JSON Live": one datagram of JSON an event, places in hundredths of a millimetre; pure.

Umlauts come as Windows-1252. `Range` may be 0, then the envelope's `Ranges` has the lane. A shot has no number of its
own, but the millisecond it was fired at. Some packets contradict themselves and are no shots: a distance that is not
that of the place, a whole score that is not the decimal one's, a decimal score that is not that of the place.
"""

from __future__ import annotations

from decimal import Decimal
from math import floor
from typing import Final

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.found import (
    MOST_SHOTS,
    At,
    Clocked,
    Members,
    distance_um,
    hashed,
    members,
    micrometres,
    moment,
    number,
    tenths,
    whole,
)
from gateway.tracking.shots import NotUnderstood, Sighted

DEFAULT_PORT: Final = 30169
HUNDREDTH_MM: Final = Decimal("0.01")
FACES: Final = {"LG": "air-rifle-10m", "LP": "air-pistol-10m", "KK": "rifle-50m"}
RING_UM: Final = {"LG": 2_500, "LP": 8_000, "KK": 8_000}  # how much further out a whole ring less is
DISTANCE_OFF_UM: Final = 20.0  # both are rounded
SCORE_OFF: Final = 2  # tenths


def read(raw: bytes, context: str) -> list[At]:
    """The shots in a datagram; `context` is the time zone of the machine's clock, or nothing for ours."""
    envelope = members(raw) or members(raw, "cp1252")
    if envelope is None:
        return [At("", Wrong(raw, "it is no JSON object"))] if b"Shot" in raw else []
    if (envelope.get("MessageType"), envelope.get("MessageVerb")) != ("Event", "Shot"):
        return []
    objects = envelope.get("Objects")
    if not isinstance(objects, list):
        return [At("", Wrong(raw, "Objects is no list"))]
    return [_one(raw, envelope, shot, context) for shot in objects[:MOST_SHOTS]]


def _one(raw: bytes, envelope: Members, shot: object, zone: str) -> At:
    point = ""
    try:
        if not isinstance(shot, dict):
            raise NotUnderstood("an object is none")  # noqa: TRY301 - told like everything else
        point = str(whole(shot.get("Range") or envelope.get("Ranges"), "Range", 1, 10_000))
        return At(point, _sighted(raw, shot, zone))
    except NotUnderstood as error:
        return At(point, Wrong(raw, str(error)))


def _sighted(raw: bytes, shot: Members, zone: str) -> Sighted:
    x_um, y_um = (micrometres(shot.get(name), name, HUNDREDTH_MM) for name in "XY")
    score = tenths(shot.get("DecValue"), "DecValue")
    rings = whole(shot.get("FullValue"), "FullValue", 0, 10)
    kind = str(shot.get("DiscTypeRaw") or shot.get("DiscType") or "")[:2].upper()
    _must_agree(shot, x_um, y_um, score, rings, kind)
    at = moment(shot.get("ShotDateTime"), zone)
    known_by = Clocked.of(at)
    return Sighted(
        number=known_by.number,
        kind="sighter" if shot.get("IsWarmup") is True else "match",
        miss=False,
        x_um=x_um,
        y_um=y_um,
        elapsed_ms=known_by.elapsed_ms,
        face=FACES.get(kind),
        raw_sha256=hashed(raw),
        epoch=known_by.epoch,
        fired_at=at,
        consecutive=False,
        device_tenths=score,
        device_rings=rings,
        invalid="by-device" if shot.get("IsValid") is False else None,
    )


def _must_agree(shot: Members, x_um: int, y_um: int, score: int, rings: int, kind: str) -> None:
    if "Distance" in shot:
        told_um = float(number(shot["Distance"], "Distance")) * 10
        if abs(told_um - distance_um(x_um, y_um)) > DISTANCE_OFF_UM:
            raise NotUnderstood("its distance contradicts its place")
    if rings != floor(score / 10):
        raise NotUnderstood("its whole score contradicts its decimal one")
    if score == 0 and (x_um, y_um) == (0, 0):
        raise NotUnderstood("a score of nothing stands on the centre")
    if kind in RING_UM:
        wanted = 110 - 10 * distance_um(x_um, y_um) / RING_UM[kind]
        if abs(min(109.0, wanted) - score) > SCORE_OFF and not (score == 0 and wanted < 10 + SCORE_OFF):
            raise NotUnderstood("its score contradicts its place")
