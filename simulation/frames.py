"""A shot as a freETarget says it on the wire, in the words of either firmware line."""

from __future__ import annotations

import math
import random
from typing import Final, Literal

from simulation.shot_files import Shot

Firmware = Literal["6.3", "4.3"]
VALID: Final = 1
SIGHTER: Final = 2
MATCH: Final = 4


def frame_of(firmware: Firmware, shot: Shot, number: int, elapsed_s: float, *, doubled_commas: bool = False) -> bytes:
    """The frame that tells of a shot, with all that stands around it."""
    modern = firmware == "6.3"
    members = _members_6_3(shot, number, elapsed_s) if modern else _members_4_3(shot, number, elapsed_s)
    between = ", , " if doubled_commas else ", "
    text = "{" + between.join(f'"{name}":{value}' for name, value in members) + "}"
    if not modern:
        return f"\r\n{text}\r\n".encode()
    return f"{text}n".encode() if shot.miss else text.encode()  # it ends misses with an n, others with nothing


def _members_6_3(shot: Shot, number: int, elapsed_s: float) -> list[tuple[str, object]]:
    times: list[tuple[str, object]] = [("time", int(elapsed_s * 1000)), ("time_to_go", 0)]
    if shot.miss:
        return [("shot", number), ("miss", 1), *times]
    mask = VALID | (SIGHTER if shot.kind == "sighter" else MATCH)
    return [
        ("shot", number),
        ("session_type", mask),
        *times,
        ("x", f"{shot.x_mm:6.2f}"),
        ("y", f"{shot.y_mm:6.2f}"),
        ("athelete", '"A. Shooter"'),
        ("event", '"Practice"'),
        ("target_name", '"ISSF 10m Air Pistol"'),
    ]


def _members_4_3(shot: Shot, number: int, elapsed_s: float) -> list[tuple[str, object]]:
    head: list[tuple[str, object]] = [
        ("shot", number),
        ("miss", int(shot.miss)),
        ("name", '"BOSS"'),
        ("time", f"{elapsed_s:.2f}"),
    ]
    if shot.miss:
        return [*head, ("x", 0), ("y", 0)]
    x, y = float(shot.x_mm), float(shot.y_mm)
    return [
        *head,
        ("x", f"{shot.x_mm:4.2f}"),
        ("y", f"{shot.y_mm:4.2f}"),
        ("r", f"{math.hypot(x, y):6.2f}"),
        ("a", f"{math.degrees(math.atan2(y, x)):6.2f}"),
        *((sensor, random.randint(1000, 6000)) for sensor in "NESW"),
        ("V_REF", "2.49"),
        ("T", "21.50"),
        ("VERSION", "4.3.2"),
    ]
