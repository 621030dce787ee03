"""Before the first shooter comes: the range is opened, its lanes have targets, and the armoury is filled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ops.api import Json
from simulation.client import Client, heard_of
from simulation.history import History
from simulation.lanes import Lane
from simulation.staff import Staff
from simulation.target import Manners

RANGE: Final = "simulation"
RIFLE_EVERY: Final = 4  # every fourth lane is for rifles
TYPES: Final = {
    "air-pistol": {"weapon_class": "air", "calibre": "4.5 mm", "title": "Air pistol"},
    "smallbore-rifle": {"weapon_class": "smallbore", "calibre": ".22 lr", "title": "Smallbore rifle"},
}
TYPE_OF_CLASS: Final = {about["weapon_class"]: name for name, about in TYPES.items()}
UNITS_A_LANE: Final = 0.5  # fewer than could shoot at once
PRICES: Final = {
    "tax_permille": 190,
    "lane_hour_minor": 1790,
    "weapon_minor": {"air-pistol": 450, "smallbore-rifle": 900},
    "round_minor": {"air": 5, "smallbore": 17},
}
CARTRIDGES: Final = 10_000


def build_lanes(count: int, history: History) -> list[Lane]:
    """Pistol lanes, and every fourth for rifles; their targets have different firmware and manners."""
    lanes = []
    for n in range(1, count + 1):
        rifle = n % RIFLE_EVERY == 0
        old = n % 3 == 0 and n != count  # the last one posts its shots as well, which only newer firmware does
        manners = Manners(firmware="4.3" if old else "6.3", banner=n % 2 == 1)
        discipline, weapon_class = ("rifle-50m", "smallbore") if rifle else ("air-pistol-10m", "air")
        lanes.append(Lane(f"lane-{n}", discipline, weapon_class, manners, history))
    return lanes


async def open_range(crew: Staff, lanes: Sequence[Lane], opens: datetime, closes: datetime) -> None:
    """The admin opens the range for today, the armourer fills the armoury."""
    about: Json = {
        "title": "The simulated range",
        "time_zone": "UTC",
        "opening_hours": opening_hours(opens, closes),
        "slot_minutes": 1,
        "hold_seconds": 20,
        "early_check_in_minutes": 24 * 60,
        "no_show_minutes": 1,
    }
    # booking may not have heard yet who the admin is
    await heard_of(lambda: crew.admin.command("PUT", f"/v1/ranges/{RANGE}", about), "admins-only")
    async with asyncio.TaskGroup() as group:
        group.create_task(crew.admin.command("PUT", "/v1/prices/EUR", PRICES))
        for lane in lanes:
            group.create_task(_open(crew, lane))
        for weapon_type, kind in TYPES.items():
            used_on = sum(lane.weapon_class == kind["weapon_class"] for lane in lanes)
            group.create_task(_stock(crew, weapon_type, kind, max(1, int(used_on * UNITS_A_LANE))))


def opening_hours(opens: datetime, closes: datetime) -> list[Json]:
    """The hours of one day, or of two if midnight lies between; a day's end is its minute 1440."""
    first, last = (moment.hour * 60 + moment.minute for moment in (opens, closes))
    if opens.date() == closes.date():
        return [_span(opens, first, last)]
    return [_span(opens, first, 24 * 60), *([_span(closes, 0, last)] if last else [])]


def _span(day: datetime, opens_minute: int, closes_minute: int) -> Json:
    return {"weekday": day.isoweekday(), "opens_minute": opens_minute, "closes_minute": closes_minute}


async def _open(crew: Staff, lane: Lane) -> None:
    about: Json = {
        "range": RANGE,
        "distance_m": 50 if lane.weapon_class == "smallbore" else 10,
        "discipline": lane.discipline,
        "weapon_classes": [lane.weapon_class],
        "target_address": lane.address,
    }
    await crew.admin.command("PUT", f"/v1/lanes/{lane.name}", about)


async def _stock(crew: Staff, weapon_type: str, about: Json, count: int) -> None:
    await crew.armourer.command("PUT", f"/v1/weapon-types/{weapon_type}", about)
    await crew.armourer.command("POST", "/v1/ammunition", {"calibre": about["calibre"], "rounds": CARTRIDGES})
    units: asyncio.Queue[str] = asyncio.Queue()
    for number in range(1, count + 1):
        unit: Json = {"weapon_type": weapon_type, "serial": f"{weapon_type}-{number:03}"}
        units.put_nowait((await crew.armourer.command("POST", "/v1/weapons", unit))["command"])
    crew.rack[weapon_type] = units


async def let_post(crew: Staff, lane: Lane, app: Client) -> None:
    """The lane's target gets an account, and posts its shots from now on besides telling them by its own way."""
    registered = await crew.armourer.post("/v1/devices", {"device": lane.name, "lane": lane.name})
    admitted = await app.post("/v1/devices/token", {"device": lane.name, "secret": registered["secret"]})
    app.token = admitted["access_token"]
    lane.pushes = app
