"""A small range to try everything on: loaded once, over HTTP, as its staff would do it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from bus.clock import now
from ops.api import Api, ApiProblem, Json
from ops.credentials import load, write_private
from ops.settings import Settings

ALL_DAY: Final = [{"weekday": day, "opens_minute": 0, "closes_minute": 1440} for day in range(1, 8)]
RANGE: Final = {
    "title": "The demo range",
    "time_zone": "Europe/Berlin",
    "opening_hours": ALL_DAY,
    "slot_minutes": 30,
    "hold_seconds": 30,
    "early_check_in_minutes": 7 * 24 * 60,
    "no_show_minutes": 30,
}
LANES: Final[Mapping[str, Json]] = {
    "lane-1": {"discipline": "air-pistol-10m", "target_address": "freetarget://127.0.0.1:1090"},
    "lane-2": {"discipline": "air-pistol-10m", "target_address": "freetarget://127.0.0.1:1091"},
    "lane-3": {"discipline": "air-rifle-10m", "target_address": None},
    "lane-4": {"discipline": "rifle-50m", "target_address": None},
}
TYPES: Final = {
    "air-pistol": {"weapon_class": "air", "calibre": "4.5 mm", "title": "Air pistol"},
    "air-rifle": {"weapon_class": "air", "calibre": "4.5 mm", "title": "Air rifle"},
    "smallbore-rifle": {"weapon_class": "smallbore", "calibre": ".22 lr", "title": "Smallbore rifle"},
}
UNITS: Final = {"air-pistol": 3, "air-rifle": 2, "smallbore-rifle": 2}
PRICES: Final = {
    "tax_permille": 190,
    "lane_hour_minor": 1200,
    "weapon_minor": {"air-pistol": 500, "air-rifle": 500, "smallbore-rifle": 900},
    "round_minor": {"air": 5, "smallbore": 15},
}
STAFF: Final = ("instructor", "armourer", "cashier")
LICENCE_LASTS: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody to log in as."""

    role: str
    login: str
    password: str


async def load_demo_range(address: str, settings: Settings) -> None:
    """Opens the demo range and its accounts; the accounts' file is written last, and marks that all is there.

    Begun before and interrupted, it goes on: what is there already stays, passwords are in the file from the start.
    """
    accounts = _accounts(settings)
    async with Api(address) as admin:
        await _bootstrap(admin, settings, accounts["admin"])
        await admin.log_in(accounts["admin"].login, accounts["admin"].password)
        for role in STAFF:
            person = await _register(address, accounts[role])
            await admin.command("PUT", f"/v1/people/{person}/roles", {"roles": ["shooter", role]})
        await _open(admin)
        await _license(admin, await _register(address, accounts["shooter"]))
    finished = settings.home / "demo_accounts.json"
    write_private(finished, json.dumps([asdict(account) for account in accounts.values()], indent=1))
    (settings.home / "demo_accounts.unfinished.json").unlink(missing_ok=True)


def _accounts(settings: Settings) -> dict[str, Account]:
    unfinished = settings.home / "demo_accounts.unfinished.json"
    if unfinished.exists():
        return {row["role"]: Account(**row) for row in json.loads(unfinished.read_text())}
    accounts = {
        role: Account(role, f"{role}@demo.example", secrets.token_urlsafe(12)) for role in ("admin", *STAFF, "shooter")
    }
    write_private(unfinished, json.dumps([asdict(account) for account in accounts.values()]))
    return accounts


async def _bootstrap(admin: Api, settings: Settings, account: Account) -> None:
    secret = load(settings.home, "auth").secret
    body = {"login": account.login, "password": account.password, "display_name": "Demo admin", "secret": secret}
    try:
        await admin.post("/v1/bootstrap", body)
    except ApiProblem as problem:
        if problem.status != 409:  # there is an admin already: ours, from a start that was interrupted
            raise


async def _register(address: str, account: Account) -> str:
    async with Api(address) as newcomer:
        body = {"login": account.login, "password": account.password, "display_name": f"Demo {account.role}"}
        try:
            registered = await newcomer.post("/v1/people", body)
        except ApiProblem as problem:
            if problem.status != 409:
                raise
            registered = {"person": (await newcomer.log_in(account.login, account.password)).person}
        person: str = registered["person"]
        return person


async def _open(admin: Api) -> None:
    await admin.command("PUT", "/v1/ranges/demo", RANGE)
    for lane, about in LANES.items():
        distance_m = 50 if about["discipline"] == "rifle-50m" else 10
        weapon_class = "smallbore" if about["discipline"] == "rifle-50m" else "air"
        body = {"range": "demo", "distance_m": distance_m, "weapon_classes": [weapon_class], **about}
        await admin.command("PUT", f"/v1/lanes/{lane}", body)
    stocked = {row["weapon_type"]: row["units"] for row in (await admin.get("/v1/weapon-types"))["items"]}
    for weapon_type, about in TYPES.items():
        if weapon_type not in stocked:
            await admin.command("PUT", f"/v1/weapon-types/{weapon_type}", about)
        for number in range(stocked.get(weapon_type, 0) + 1, UNITS[weapon_type] + 1):
            body = {"weapon_type": weapon_type, "serial": f"{weapon_type.upper()}-{number:03}"}
            await admin.command("POST", "/v1/weapons", body)
    for calibre in ("4.5 mm", ".22 lr"):
        await admin.command("POST", "/v1/ammunition", {"calibre": calibre, "rounds": 5000})
    await admin.command("PUT", "/v1/prices/EUR", PRICES)


async def _license(admin: Api, person: str) -> None:
    """A confirmed licence for all that the range has."""
    moment = now()
    body = {
        "category": "smallbore",
        "number": "DEMO-0001",
        "authority": "The demo authority",
        "valid_from": (moment - timedelta(days=1)).isoformat(),
        "valid_until": (moment + LICENCE_LASTS).isoformat(),
    }
    recorded = await admin.post(f"/v1/people/{person}/licences", body)
    await admin.command("POST", f"/v1/people/{person}/licences/{recorded['licence']}/confirm")
