"""A range that is just large enough to be booked: opened over HTTP, as its staff would do it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from bus.clock import now
from ops.api import Api
from ops.credentials import load
from ops.demo import PRICES, RANGE
from ops.settings import Settings

LANE: Final = "bench-lane"
WEAPON_TYPE: Final = "bench-air-pistol"
WEAPON_CLASS: Final = "air"
CALIBRE: Final = "4.5 mm"
ROUNDS: Final = 10_000
LASTS: Final = timedelta(days=400)


class Shooter(NamedTuple):
    """Somebody who may book."""

    person: UUID
    login: str
    password: str


async def open_small_range(address: str, settings: Settings) -> Shooter:
    """Opens a lane with a weapon for it, and licenses a shooter."""
    password = secrets.token_urlsafe(12)
    async with Api(address) as admin, Api(address) as newcomer:
        boss = {"login": "admin@bench.example", "password": password, "display_name": "Admin"}
        await admin.post("/v1/bootstrap", {**boss, "secret": load(settings.home, "auth").secret})
        await admin.log_in(boss["login"], password)
        await admin.command("PUT", "/v1/ranges/bench", RANGE)
        lane = {"range": "bench", "distance_m": 10, "discipline": "air-pistol-10m", "weapon_classes": [WEAPON_CLASS]}
        await admin.command("PUT", f"/v1/lanes/{LANE}", lane)
        kind = {"weapon_class": WEAPON_CLASS, "calibre": CALIBRE, "title": "Air pistol"}
        await admin.command("PUT", f"/v1/weapon-types/{WEAPON_TYPE}", kind)
        await admin.command("POST", "/v1/weapons", {"weapon_type": WEAPON_TYPE, "serial": "BENCH-1"})
        await admin.command("POST", "/v1/ammunition", {"calibre": CALIBRE, "rounds": ROUNDS})
        await admin.command("PUT", "/v1/prices/EUR", {**PRICES, "weapon_minor": {WEAPON_TYPE: 500}})
        who = {"login": "shooter@bench.example", "password": password, "display_name": "Shooter"}
        person = (await newcomer.post("/v1/people", who))["person"]
        await _license(admin, person)
    return Shooter(UUID(person), who["login"], password)


async def _license(admin: Api, person: str) -> None:
    moment = now()
    licence = {
        "category": "pneumatic",
        "number": "BENCH-1",
        "authority": "The bench",
        "valid_from": (moment - timedelta(days=1)).isoformat(),
        "valid_until": (moment + LASTS).isoformat(),
    }
    recorded = await admin.post(f"/v1/people/{person}/licences", licence)
    await admin.command("POST", f"/v1/people/{person}/licences/{recorded['licence']}/confirm")
