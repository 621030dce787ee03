"""The range's staff: an admin, an armourer, a cashier and an instructor, each with an app of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from bus.clock import now
from ops.api import ApiProblem, Json
from simulation.client import Client, heard_of
from simulation.history import History

LICENCE_LASTS: Final = timedelta(days=300)
EXPIRED_FOR: Final = timedelta(days=3)
PROMISED: Final = "promised-to-others"  # who would start early waits for those whose time comes first
QUEUE_S: Final = 150.0
LOOK_S: Final = 0.5
ROLES: Final = ("admin", "armourer", "cashier", "instructor")


def new_password() -> str:
    return secrets.token_urlsafe(12)


@dataclass
class Staff:
    """Who works today, and what lies in the armoury."""

    admin: Client
    armourer: Client
    cashier: Client
    instructor: Client
    rack: dict[str, asyncio.Queue[str]] = field(default_factory=dict)  # units by type

    async def license(self, person: str, category: str, *, expired: bool, confirmed: bool) -> None:
        """The instructor records a licence and, having seen it, confirms it."""
        moment = now()
        entry: Json = {
            "category": category,
            "number": f"SIM-{person[-8:]}",
            "authority": "The simulated authority",
            "valid_from": (moment - LICENCE_LASTS).isoformat(),
            "valid_until": (moment + (-EXPIRED_FOR if expired else LICENCE_LASTS)).isoformat(),
        }
        recorded = await self.instructor.post(f"/v1/people/{person}/licences", entry)
        if confirmed:
            await self.instructor.command("POST", f"/v1/people/{person}/licences/{recorded['licence']}/confirm")

    async def hand_out(self, booking: str, weapon_type: str, rounds: int) -> str:
        """The armourer gives out a unit, as soon as there is one that nobody before was promised; returns which."""
        async with asyncio.timeout(QUEUE_S):
            while True:
                weapon = await self.rack[weapon_type].get()
                body: Json = {"weapon": weapon, "rounds": rounds}
                path = f"/v1/bookings/{booking}/weapon"
                try:
                    await heard_of(partial(self.armourer.command, "POST", path, body), "not-checked-in")
                except ApiProblem as problem:
                    self.rack[weapon_type].put_nowait(weapon)
                    if problem.rule != PROMISED:
                        raise
                else:
                    return weapon
                await asyncio.sleep(LOOK_S)
        raise AssertionError("the time-out ends it")

    async def take_back(self, booking: str, weapon_type: str, weapon: str, rounds_returned: int) -> None:
        body: Json = {"weapon": weapon, "rounds_returned": rounds_returned}
        await self.armourer.command("POST", f"/v1/bookings/{booking}/weapon/return", body)
        self.rack[weapon_type].put_nowait(weapon)

    async def take_money(self, invoice: str, amount_minor: int, currency: str, method: str) -> None:
        body: Json = {"amount_minor": amount_minor, "currency": currency, "method": method}
        await self.cashier.command("POST", f"/v1/invoices/{invoice}/payments", body)

    async def refund(self, invoice: str) -> None:
        """The cashier pays back what is due once the invoice is credited."""
        credited = await self.cashier.until(f"/v1/invoices/{invoice}", lambda told: told["state"] == "credited")
        due: Json = {
            "amount_minor": credited["refund_due_minor"],
            "currency": credited["currency"],
            "method": "transfer",
        }
        await self.cashier.command("POST", f"/v1/invoices/{invoice}/refunds", due)


@asynccontextmanager
async def staff(address: str, secret: str, history: History) -> AsyncIterator[Staff]:
    """Everybody has an account and a role, and is logged in."""
    async with AsyncExitStack() as stack:
        admin, armourer, cashier, instructor = [
            await stack.enter_async_context(Client(address, history, role)) for role in ROLES
        ]
        account = _account(admin)
        await admin.post("/v1/bootstrap", {**account, "secret": secret})
        await admin.log_in(account["login"], account["password"])
        await asyncio.gather(*(_employ(admin, one) for one in (armourer, cashier, instructor)))
        yield Staff(admin, armourer, cashier, instructor)


async def _employ(admin: Client, newcomer: Client) -> None:
    account = _account(newcomer)
    registered = await newcomer.post("/v1/people", account)
    await admin.command("PUT", f"/v1/people/{registered['person']}/roles", {"roles": ["shooter", newcomer.name]})
    await newcomer.log_in(account["login"], account["password"])


def _account(client: Client) -> Json:
    return {
        "login": f"{client.name}@simulation.example",
        "password": new_password(),
        "display_name": f"The {client.name}",
    }
