"""Biathlon targets over MQTT (target messaging API, AsyncAPI 0.3.1-draft): five plates, each hit or not; pure.

A result tells the lane, and when each plate fell, in milliseconds since 1970. A plate has no place: a hit stands at the
centre of a face that knows hit and miss only. What fell is known by its time, so a repeated result changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gateway.tracking.frames import Wrong
from gateway.tracking.makers.found import At, Clocked, Members, hashed, members, whole
from gateway.tracking.shots import NotUnderstood, Sighted

RESULT: Final = "biathlon/server/result"
SYSTEM: Final = "biathlon/server/system"  # a keep-alive
PLATES: Final = 5
FACE: Final = "biathlon-50m"
LATEST_MS: Final = 10**14
NOT_HIT: Final = (0, None)


def read(raw: bytes, _context: str) -> list[At]:
    """The plates that fell, of one result."""
    result = members(raw)
    if result is None:
        return [At("", Wrong(raw, "it is no JSON object"))]
    try:
        point = str(whole(result.get("target_lane"), "target_lane", 0, 10_000))
    except NotUnderstood as error:
        return [At("", Wrong(raw, str(error)))]
    try:
        fell = sorted(whole(hit, "a hit", 1, LATEST_MS) for hit in _hits(result) if hit not in NOT_HIT)
        return [At(point, _sighted(raw, at_ms)) for at_ms in fell]
    except NotUnderstood as error:
        return [At(point, Wrong(raw, str(error)))]


def _hits(result: Members) -> list[object]:
    """The one list of five; drafts of the interface call it differently."""
    lists = [value for value in result.values() if isinstance(value, list) and len(value) == PLATES]
    if len(lists) != 1:
        raise NotUnderstood("it tells of no five plates")
    return lists[0]


def _sighted(raw: bytes, at_ms: int) -> Sighted:
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise NotUnderstood("a plate fell at no time") from None
    known_by = Clocked.of(at)
    return Sighted(
        number=known_by.number,
        kind="match",
        miss=False,
        x_um=0,
        y_um=0,
        elapsed_ms=known_by.elapsed_ms,
        face=FACE,
        raw_sha256=hashed(raw),
        epoch=known_by.epoch,
        fired_at=at,
        consecutive=False,
    )
