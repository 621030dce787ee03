"""A shot as each maker's machines say it on the wire, and what goes wrong with it there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from random import Random
from typing import Any, Final

from simulation.shot_files import Shot

RING_MM: Final = Decimal(8)  # air pistol: how much further out a whole ring less is
BEST: Final = Decimal("10.9")
TENTH: Final = Decimal("0.1")
FIRING_POINT: Final = "3"
BIATHLON_LANE: Final = 3
YEAR_BEGINS: Final = (1, 1)


@dataclass(frozen=True, slots=True)
class Fired:
    """A shot, the when of it on the machine's wall clock, and its number in the session."""

    shot: Shot
    at: datetime
    number: int

    @property
    def score(self) -> Decimal:
        """The decimal score on the air pistol face."""
        distance = Decimal(math.hypot(self.shot.x_mm, self.shot.y_mm))
        score = (11 - distance / RING_MM).quantize(TENTH, ROUND_FLOOR)
        return min(BEST, score) if score >= 1 else Decimal(0)


def disag_datagram(fired: Fired) -> bytes:
    """DISAG OpticScore's JSON Live, with a name in Windows-1252."""
    x, y = (int((one * 100).to_integral_value()) for one in (fired.shot.x_mm, fired.shot.y_mm))
    shot = {
        "X": x, "Y": y, "Distance": round(math.hypot(x, y), 1), "DecValue": float(fired.score),
        "FullValue": int(fired.score), "Range": 0, "IsWarmup": fired.shot.kind == "sighter", "IsHot": True,
        "IsValid": True, "DiscType": "LP", "ShotDateTime": fired.at.isoformat(" ", "milliseconds"),
        "Shooter": {"Firstname": "Jörg", "Lastname": "Schütze"},
    }  # fmt: skip
    envelope = {"MessageType": "Event", "MessageVerb": "Shot", "Ranges": int(FIRING_POINT), "Objects": [shot]}
    return json.dumps(envelope, ensure_ascii=False).encode("cp1252")


def sius_row(fired: Fired) -> bytes:
    """SIUSData's row of 28 fields; the divisions wrap at 16 bits."""
    begun = fired.at.replace(month=YEAR_BEGINS[0], day=YEAR_BEGINS[1], hour=0, minute=0, second=0, microsecond=0)
    hundredths = int((fired.at - begun) / timedelta(milliseconds=10))
    divisions = int(math.hypot(fired.shot.x_mm, fired.shot.y_mm) * 100) & 0xFFFF
    clock = f"{fired.at:%H:%M:%S}.{fired.at.microsecond // 10_000:02}"
    kind = 0 if fired.shot.kind == "sighter" else 1
    fields = [
        1002, fired.score, kind, FIRING_POINT, 0, divisions, clock, int(fired.score >= Decimal("10.4")),
        fired.shot.x_mm, fired.shot.y_mm, 1, "7.56", 0, 0, 27, 0, 0, 0, 0, kind, 6, 3, hundredths, 0, 0, 0,
        60, 0,
    ]  # fmt: skip
    return ";".join(map(str, fields)).encode("latin-1") + b"\r\n"


def biathlon_result(hits_ms: Iterable[int]) -> bytes:
    """A result of the target messaging API: five plates, 0 for one that stands."""
    hits = [*hits_ms, 0, 0, 0, 0, 0][:5]
    return json.dumps(
        {
            "target_hostname": "target-3", "target_lane": BIATHLON_LANE, "target_mac_address": "00:00:5e:00:53:03",
            "target_ip_address": "192.0.2.3", "shooting_position": "prone", "athlete_competition_number": 12,
            "athlete_time_on_lane": 31_000, "target_hits": hits, "target_hit_count": sum(one > 0 for one in hits),
        }
    ).encode()  # fmt: skip


def own_post(fired: Fired, epoch: str) -> bytes:
    """Our own form, by HTTP, WebSocket or MQTT."""
    shot = {
        "epoch": epoch, "number": fired.number, "kind": fired.shot.kind, "miss": fired.shot.miss,
        "x_um": int(fired.shot.x_mm * 1000), "y_um": int(fired.shot.y_mm * 1000),
    }  # fmt: skip
    return json.dumps({"shots": [shot]}).encode()


def megalink_tree(fired: Iterable[Fired], *, version: int = 2) -> dict[str, Any]:
    """A range's tree with one firing point: a series of sighters, and one of match shots."""
    series: list[Any] = [
        {"type": "SIGHT", "sight": True, "decimal": True, "gaugeR": 2.25, "targetId": "ISSF10P", "shots": [None]},
        {"type": "MATCH", "sight": False, "decimal": True, "gaugeR": 2.25, "targetId": "ISSF10P", "shots": [None]},
    ]
    radius_mm = Decimal("155.5") / 2
    for one in fired:
        shots = series[0 if one.shot.kind == "sighter" else 1]["shots"]
        value = f"{one.score}x" if one.score >= Decimal("10.4") else f"{one.score} "
        if version == 2:
            shots.append({"v": value, "x": float(one.shot.x_mm), "y": float(one.shot.y_mm), "t": one.number * 1000})
        else:
            x, y = (float(length / radius_mm) for length in (one.shot.x_mm, one.shot.y_mm))
            shots.append({"value": value, "x": x, "y": y})
    if version == 2:
        point: dict[str, Any] = {"fp": FIRING_POINT, "lane": int(FIRING_POINT), "relay": 1, "series": series}
        return {"protocolVersion": "2.0.1", "data": {"fp": {FIRING_POINT: point}}}
    for one in series:
        one["gaugeSize"] = 4.5 / 155.5
        del one["gaugeR"], one["type"]
    return {"protocolVersion": "0.0.1", "results": {FIRING_POINT: {"activeSeries": "1", "series": series}}}


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on the way, each with its share of the frames; `drift` is how fast the machine's clock runs."""

    broken: float = 0.0
    repeated: float = 0.0
    swapped: float = 0.0
    drift: float = 1.0

    def drifted(self, at: datetime, since: datetime) -> datetime:
        """What a clock shows that was right once."""
        return since + (at - since) * self.drift

    def applied(self, frames: Iterable[bytes], dice: Random) -> list[bytes]:
        """The frames as they are sent: every one of them, and more besides."""
        sent: list[bytes] = []
        for frame in frames:
            if dice.random() < self.broken:
                sent.append(broken(frame, dice))
            sent.append(frame)
            if dice.random() < self.repeated:
                sent.append(dice.choice(sent[-20:]))
        for i in range(len(sent) - 1):
            if dice.random() < self.swapped:
                sent[i], sent[i + 1] = sent[i + 1], sent[i]
        return sent


def broken(frame: bytes, dice: Random) -> bytes:
    """A frame cut short, or rubbish in its place; it ends as the whole one does."""
    end = frame[len(frame.rstrip(b"\r\n")) :]
    body = frame[: len(frame) - len(end)]
    if dice.random() < 0.5:
        return body[: dice.randrange(1, len(body))] + end
    return bytes(dice.choice(b'{}[]";,:x\xff\x000') for _ in range(len(body))) + end


def wall_clock(at: datetime) -> datetime:
    """What a machine's clock in UTC shows, without saying where it stands."""
    return at.astimezone(UTC).replace(tzinfo=None)
