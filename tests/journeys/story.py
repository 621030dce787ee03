"""The story that a range exists for, step by step over HTTP and a target's socket: from wish to score.

Each step is a method that can be asked again; nothing in it looks into the database.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.api import ApiProblem
from ops.credentials import load
from tests.journeys.client import App, Json
from tests.journeys.processes import Processes

ALL_DAY = [{"weekday": day, "opens_minute": 0, "closes_minute": 1440} for day in range(1, 8)]
TOTAL_MINOR = 600 + 500 + 40 * 5  # half an hour of a lane, a pistol, forty pellets
Between = Callable[[str], Awaitable[None]]


@dataclass
class Person:
    app: App
    login: str
    password: str
    id: str = ""


@dataclass
class Story:
    """One range with its people, and one booking on its way."""

    processes: Processes
    people: dict[str, Person] = field(default_factory=dict)
    booking: str = ""
    weapon: str = ""
    licence: str = ""

    def app(self, who: str) -> App:
        return self.people[who].app

    async def open_the_range(self, *, target_port: int | None, hold_s: int = 30, units: int = 2) -> None:
        """Staff comes in, and the range is set up."""
        secret = load(self.processes.settings.home, "auth").secret
        admin = self.people["admin"]
        registration = {"login": admin.login, "password": admin.password, "display_name": "Ada Admin"}
        await admin.app.post("/v1/bootstrap", {**registration, "secret": secret})
        await self._log_in(admin)
        for role in ("instructor", "armourer", "cashier"):
            await self.register(role)
            path = f"/v1/people/{self.people[role].id}/roles"
            await self.app("admin").command("PUT", path, {"roles": ["shooter", role]})
            await self._log_in(self.people[role])
        ask = self.app("admin").command
        about = {
            "title": "The club's range",
            "time_zone": "Europe/Berlin",
            "opening_hours": ALL_DAY,
            "slot_minutes": 30,
            "hold_seconds": hold_s,
            "early_check_in_minutes": 7 * 24 * 60,
            "no_show_minutes": 30,
        }
        await ask("PUT", "/v1/ranges/club", about)
        lane = {"range": "club", "distance_m": 10, "discipline": "air-pistol-10m", "weapon_classes": ["air"]}
        address = None if target_port is None else f"freetarget://127.0.0.1:{target_port}"
        await ask("PUT", "/v1/lanes/lane-1", {**lane, "target_address": address})
        await ask("PUT", "/v1/lanes/lane-2", {**lane, "target_address": None})
        weapon_type = {"weapon_class": "air", "calibre": "4.5 mm", "title": "Air pistol"}
        await ask("PUT", "/v1/weapon-types/air-pistol", weapon_type)
        for number in range(units):
            await ask("POST", "/v1/weapons", {"weapon_type": "air-pistol", "serial": f"AP-{number}"})
        await ask("POST", "/v1/ammunition", {"calibre": "4.5 mm", "rounds": 1000})
        prices = {"tax_permille": 190, "lane_hour_minor": 1200, "weapon_minor": {"air-pistol": 500}}
        await ask("PUT", "/v1/prices/EUR", {**prices, "round_minor": {"air": 5}})

    async def register(self, who: str) -> None:
        """Step 1: somebody registers and logs in."""
        person = self.people[who]
        body = {"login": person.login, "password": person.password, "display_name": f"Person {who}"}
        await person.app.post("/v1/people", body)
        await self._log_in(person)

    async def _log_in(self, person: Person) -> None:
        await person.app.log_in(person.login, person.password)
        assert person.app.person is not None
        person.id = person.app.person

    async def license(self, who: str, *, until_days: int = 300) -> None:
        """Step 2: staff records a licence and confirms it."""
        person, now = self.people[who], datetime.now(UTC)
        body = {
            "category": "pneumatic",
            "number": f"LIC-{secrets.token_hex(4)}",
            "authority": "The town",
            "valid_from": (now - timedelta(days=400)).isoformat(),
            "valid_until": (now + timedelta(days=until_days)).isoformat(),
        }
        recorded = await self.app("admin").post(f"/v1/people/{person.id}/licences", body)
        self.licence = recorded["licence"]
        await self.app("admin").command("POST", f"/v1/people/{person.id}/licences/{self.licence}/confirm")

    async def free_times(self, who: str) -> list[Json]:
        """Step 3: the free times of tomorrow on lane-1 that offer an air pistol."""
        day = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

        def offered(answer: Json) -> list[Json]:
            [club] = answer["ranges"]
            [lane] = [lane for lane in club["lanes"] if lane["lane"] == "lane-1"]
            return [slot for slot in lane["slots"] if "air-pistol" in _types_of(slot)]

        return offered(await self.app(who).until("/v1/slots", offered, date=day))

    async def book(self, who: str, slot: Json, **changed: Any) -> Json:
        """Step 4: held, licensed, armed, invoiced, confirmed; or refused with a reason."""
        body = {
            "lane": "lane-1",
            "starts_at": slot["starts_at"],
            "ends_at": slot["ends_at"],
            "weapon_class": "air",
            "weapon_type": "air-pistol",
            "rounds": 40,
            **changed,
        }
        answer = await self.app(who).command("POST", "/v1/bookings", body)
        self.booking = answer["command"]
        return answer

    async def pay(self) -> None:
        """Step 5: the cashier takes the money."""
        invoice = await self.app("cashier").until(f"/v1/invoices/{self.booking}", lambda answer: answer)
        body = {"amount_minor": invoice["total_minor"], "currency": invoice["currency"], "method": "cash"}
        await self.app("cashier").command("POST", f"/v1/invoices/{self.booking}/payments", body)

    async def begin(self, who: str) -> None:
        """Step 6: checked in, armed, started."""
        await self.app(who).command("POST", f"/v1/bookings/{self.booking}/check-in")
        weapons = (await self.app("armourer").get("/v1/weapons"))["items"]
        self.weapon = next(one["weapon"] for one in weapons if one["weapon_type"] == "air-pistol")
        body = {"weapon": self.weapon, "rounds": 40}
        await self.when_known(lambda: self.app("armourer").command("POST", f"{self._path}/weapon", body))
        await self.when_known(lambda: self.app(who).command("POST", f"{self._path}/start"))

    async def end(self, *, rounds_returned: int) -> None:
        """Step 9: the weapon comes back, and the instructor finishes the session."""
        body = {"weapon": self.weapon, "rounds_returned": rounds_returned}
        await self.app("armourer").command("POST", f"{self._path}/weapon/return", body)
        await self.when_known(lambda: self.app("instructor").command("POST", f"{self._path}/finish"))

    async def result(self, who: str, condition: Callable[[Json], Any]) -> Json:
        """Step 10: what the session's result is, once it is as awaited."""
        return await self.app(who).until(f"/v1/results/{self.booking}", condition)

    @property
    def _path(self) -> str:
        return f"/v1/bookings/{self.booking}"

    async def when_known(self, ask: Callable[[], Awaitable[Json]]) -> Json:
        """Asks again while the service asked has not heard yet of what another one just did."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return await ask()
                except ApiProblem as problem:
                    if problem.status != 409:
                        raise
                    await asyncio.sleep(0.05)


def _types_of(slot: Json) -> set[str]:
    return {offer["weapon_type"] for offer in slot["weapon_types"]}


@asynccontextmanager
async def story(processes: Processes, *extra: str) -> AsyncIterator[Story]:
    async with AsyncExitStack() as stack:
        people = {}
        for who in ("admin", "instructor", "armourer", "cashier", "shooter", "stranger", *extra):
            app = await stack.enter_async_context(App(processes.address))
            people[who] = Person(app, f"{who}@club.example", secrets.token_urlsafe(16))
        yield Story(processes, people)
