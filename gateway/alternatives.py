"""What else could be booked: told with the refusal of a wish whose time is taken."""

from __future__ import annotations

from typing import Any, Final

from bus.connection import is_away
from bus.message import Command
from gateway.caught_up import ACQUIRE_TIMEOUT_S
from gateway.routing import Visit
from handlers.booking.commands import BookSession
from handlers.booking.views.alternatives import alternatives

TAKEN: Final = frozenset({"slot-taken", "lane-is-closed", "shooter-elsewhere", "no-weapon-free"})


async def alternatives_to(visit: Visit, command: Command, rule: str) -> dict[str, Any]:
    """Members of the problem document; without a database there are none, and the refusal stands by itself."""
    if not isinstance(command, BookSession) or rule not in TAKEN:
        return {}
    try:
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            found = await alternatives(
                connection,
                command.person,
                command.lane,
                command.starts_at,
                command.ends_at,
                command.weapon_class,
                command.weapon_type,
            )
    except Exception as error:
        if not is_away(error):
            raise
        return {}
    return {"alternatives": [one.model_dump(mode="json") for one in found]}
