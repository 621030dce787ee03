"""The rounds that went through a weapon, as its maintenance counts them."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection


async def count_rounds(connection: Connection, weapon: UUID, fired: int) -> None:
    """Counts rounds through a weapon and its barrel, or takes back (negative) what was counted wrongly."""
    await connection.execute(
        """
        UPDATE weapon
        SET rounds_fired = rounds_fired + $2, rounds_since_service = greatest(0, rounds_since_service + $2),
            barrel_rounds = greatest(0, barrel_rounds + $2)
        WHERE weapon = $1
        """,
        weapon,
        fired,
    )
