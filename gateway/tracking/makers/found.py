"""What adapters find, and how they read numbers and times: strictly, whatever stands there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.tracking.frames import Wrong
from gateway.tracking.shots import FURTHEST_MM, NotUnderstood, Sighted

MOST_SHOTS: Final = 500  # in one frame
HOUR_MS: Final = 3_600_000
LONGEST_NUMBER: Final = 32


class At(NamedTuple):
    """A shot, or what is wrong with it, and the maker's own name for the place it was shot at."""

    point: str
    told: Sighted | Wrong


Members = Mapping[str, Any]


def hashed(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def members(raw: bytes, encoding: str = "utf-8") -> Members | None:
    """The members of a JSON object; None if it is none. Numbers are Decimal."""
    try:
        found = json.loads(raw.decode(encoding), parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def number(value: object, name: str) -> Decimal:
    """A finite number, be it one or written as one. Raises NotUnderstood."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise NotUnderstood(f"{name} is no number")
    try:
        found = Decimal(str(value).strip()[:LONGEST_NUMBER])
    except InvalidOperation:
        raise NotUnderstood(f"{name} is no number") from None
    if not found.is_finite():
        raise NotUnderstood(f"{name} is no number")
    return found


def whole(value: object, name: str, least: int, most: int) -> int:
    found = number(value, name)
    if not least <= found <= most or found != found.to_integral_value():
        raise NotUnderstood(f"{name} is not a whole number from {least} to {most}")
    return int(found)


def micrometres(value: object, name: str, unit_mm: Decimal = Decimal(1)) -> int:
    """A length in some unit, in whole micrometres. Raises NotUnderstood, also beyond ten metres."""
    length = number(value, name)
    if abs(length) > FURTHEST_MM * 1000 or abs(length * unit_mm) > FURTHEST_MM:
        raise NotUnderstood(f"{name} is more than ten metres")
    return int((length * unit_mm * 1000).to_integral_value(ROUND_HALF_EVEN))


def tenths(value: object, name: str) -> int:
    """A decimal score in tenths of a ring."""
    found = number(value, name) * 10
    if not 0 <= found <= 109 or found != found.to_integral_value():
        raise NotUnderstood(f"{name} is no decimal score")
    return int(found)


def moment(text: object, zone: str) -> datetime:
    """A moment as a machine without a zone writes it: its own wall clock's, in a zone. Raises NotUnderstood."""
    try:
        found = datetime.fromisoformat(str(text).strip())
    except ValueError:
        raise NotUnderstood("its time is none") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone_of(zone))


def zone_of(name: str) -> ZoneInfo:
    """A time zone; without a name, UTC."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise NotUnderstood(f"there is no time zone {name[:40]!r}") from None


class Clocked(NamedTuple):
    """An identity for a shot that its maker does not number: the millisecond of an hour on the device's wall clock.

    An hour, because numbers that do not follow each other cannot be many in one epoch.
    """

    epoch: str
    number: int
    elapsed_ms: int

    @classmethod
    def of(cls, at: datetime) -> Clocked:
        elapsed_ms = (at.minute * 60 + at.second) * 1000 + at.microsecond // 1000
        return cls(f"clock:{at:%Y-%m-%dT%H}", elapsed_ms + 1, elapsed_ms)


def distance_um(x_um: int, y_um: int) -> float:
    return math.hypot(x_um, y_um)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
