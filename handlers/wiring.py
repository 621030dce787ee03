"""The one place where all services are known: who they are, and what each process may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bus.message import Command
from bus.service import Service
from handlers.armory.service import service as armory
from handlers.auth.service import service as auth
from handlers.booking.service import service as booking
from handlers.payment.service import service as payment
from handlers.stats.events import ShotRecorded
from handlers.stats.service import service as stats

SERVICES: Final[Mapping[str, Callable[[], Service]]] = {
    "auth": auth,
    "booking": booking,
    "armory": armory,
    "payment": payment,
    "stats": stats,
}


def asked_from_outside() -> list[type[Command]]:
    """The commands that clients may send: all that services hear, but for what they ask themselves."""
    services = [make() for make in SERVICES.values()]
    own = {command for service in services for command in service.asks_itself}
    heard = {row.message for service in services for row in service.hears}
    asked = [message for message in heard - own if issubclass(message, Command)]
    return sorted(asked, key=lambda command: command.name)


def may_append() -> dict[str, list[str]]:
    """The message names that each process may append: each service its own, the gateway what comes from outside."""
    names = {name: make().may_append for name, make in SERVICES.items()}
    names["gateway"] = sorted({ShotRecorded.name, *(command.name for command in asked_from_outside())})
    return names
