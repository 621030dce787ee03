"""What a frame says about a shot: freETarget's members in both firmware lines, in whole micrometres; pure.

4.3.2: shot, miss, name, time (seconds with two decimals), x, y (mm), r, a, timer counts, …; a miss has x = y = 0.
6.x: shot, session_type (bits: 1 valid, 2 sighter, 4 match), time (ms), time_to_go, x, y (mm), …, and by HTTP r, a and
target; a miss is shot, miss, time. `elapsed_time` is the moment of sending, not of the shot, and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import sha256
from typing import Final, Literal

from gateway.tracking.frames import Fields, Found, Frame, Wrong

SIGHTER: Final = 2
FURTHEST_MM: Final = Decimal(10_000)
HIGHEST_NUMBER: Final = 10**9
LONGEST_MS: Final = 10**12
FACES: Final = {
    100: "air-pistol-10m",
    101: "air-pistol-10m",
    110: "air-rifle-10m",
    111: "air-rifle-10m",
    500: "pistol-50m",
    501: "pistol-50m",
    510: "rifle-50m",
    511: "rifle-50m",
}
"""What the target's code for its face means; the odd ones are practice."""


class NotUnderstood(Exception):  # noqa: N818 - a finding about a frame
    """A frame tells of a shot, and not what a shot needs."""


@dataclass(frozen=True, slots=True)
class Sighted:
    """A shot as a target told it. `epoch` is there if the device names its own.

    `fired_at` is the device's wall clock. Numbers that are not `consecutive` are times, or leave room: none is missing.
    `device_tenths` and `device_rings` are the device's own score, decimal and whole. What is `invalid` counts nothing.
    """

    number: int
    kind: Literal["sighter", "match"]
    miss: bool
    x_um: int
    y_um: int
    elapsed_ms: int | None
    face: str | None
    raw_sha256: str
    epoch: str | None = None
    fired_at: datetime | None = None
    consecutive: bool = True
    device_tenths: int | None = None
    device_rings: int | None = None
    device_inner: bool | None = None
    invalid: str | None = None


def understand(found: Found) -> Sighted | Wrong | None:
    """The shot that was found, or what is wrong with it; None for what tells of no shot."""
    if isinstance(found, Wrong):
        return found
    try:
        return read_shot(found)
    except NotUnderstood as error:
        return Wrong(found.raw, str(error))


def read_shot(frame: Frame) -> Sighted | None:
    """The shot that a frame tells of; None for other frames and for shot 0, which only primes a display."""
    fields = frame.fields
    if "shot" not in fields:
        return None
    number = _whole(fields, "shot", 0, HIGHEST_NUMBER)
    if number == 0:
        return None
    miss = "miss" in fields and _whole(fields, "miss", 0, 1) == 1
    return Sighted(
        number=number,
        kind="sighter" if _whole(fields, "session_type", 0, 255, default=0) & SIGHTER else "match",
        miss=miss,
        x_um=0 if miss else _micrometres(fields, "x"),
        y_um=0 if miss else _micrometres(fields, "y"),
        elapsed_ms=_elapsed_ms(fields),
        face=FACES.get(_whole(fields, "target", 0, HIGHEST_NUMBER, default=0)),
        raw_sha256=sha256(frame.raw).hexdigest(),
    )


def _micrometres(fields: Fields, name: str) -> int:
    millimetres = _number(fields, name)
    if abs(millimetres) > FURTHEST_MM:
        raise NotUnderstood(f"{name} is more than ten metres")
    return int((millimetres * 1000).to_integral_value(ROUND_HALF_EVEN))


def _elapsed_ms(fields: Fields) -> int | None:
    if "time" not in fields:
        return None
    time = _number(fields, "time")
    if not 0 <= time <= LONGEST_MS:
        raise NotUnderstood("time is out of bounds")
    exponent = time.as_tuple().exponent
    in_seconds = isinstance(exponent, int) and exponent < 0
    return int((time * 1000 if in_seconds else time).to_integral_value(ROUND_HALF_EVEN))


def _whole(fields: Fields, name: str, least: int, most: int, *, default: int | None = None) -> int:
    if default is not None and name not in fields:
        return default
    number = _number(fields, name)
    if not least <= number <= most or number != number.to_integral_value():
        raise NotUnderstood(f"{name} is not a whole number from {least} to {most}")
    return int(number)


def _number(fields: Fields, name: str) -> Decimal:
    value = fields.get(name)
    if not isinstance(value, Decimal):
        raise NotUnderstood(f"{name} is missing" if name not in fields else f"{name} is no number")
    return value
