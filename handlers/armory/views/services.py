"""A weapon's services."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from handlers.armory.views.view import View


class Service(View):
    """A service of a weapon: what was done, and after how many rounds."""

    weapon: UUID
    number: int
    work: str
    rounds_fired: int
    rounds_since_service: int
    serviced_by: UUID
    serviced_at: datetime
    barrel: int
    barrel_rounds: int | None


async def services(connection: Connection, weapon: UUID, *, most: int) -> list[Service]:
    """A weapon's last services, the latest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT weapon, number, work, rounds_fired, rounds_since_service, serviced_by, serviced_at, barrel,
               barrel_rounds
        FROM armory.services
        WHERE weapon = $1
        ORDER BY number DESC
        LIMIT $2
        """,
        weapon,
        most,
    )
    return [Service(**row) for row in rows]
