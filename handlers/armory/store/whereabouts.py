"""What is written of where a weapon belongs, to whom, and whether it is still there."""

from __future__ import annotations

from bus.connection import Connection
from handlers.armory.events import (
    WeaponAssessed,
    WeaponLost,
    WeaponMoved,
    WeaponRecovered,
    WeaponRetired,
    WeaponTransferred,
)


async def weapon_moved(connection: Connection, event: WeaponMoved) -> None:
    await connection.execute(
        """
        UPDATE weapon SET location = $2 WHERE weapon = $1
        """,
        event.weapon,
        event.location,
    )


async def weapon_assessed(connection: Connection, event: WeaponAssessed) -> None:
    await connection.execute(
        """
        UPDATE weapon SET condition = $2 WHERE weapon = $1
        """,
        event.weapon,
        event.condition,
    )


async def weapon_transferred(connection: Connection, event: WeaponTransferred) -> None:
    await connection.execute(
        """
        UPDATE weapon SET owner = $2 WHERE weapon = $1
        """,
        event.weapon,
        event.owner,
    )


async def weapon_retired(connection: Connection, event: WeaponRetired) -> None:
    await connection.execute(
        """
        UPDATE weapon SET gone = 'retired', planned = NULL, planned_work = NULL WHERE weapon = $1
        """,
        event.weapon,
    )


async def weapon_lost(connection: Connection, event: WeaponLost) -> None:
    await connection.execute(
        """
        UPDATE weapon SET gone = 'lost', planned = NULL, planned_work = NULL WHERE weapon = $1
        """,
        event.weapon,
    )


async def weapon_recovered(connection: Connection, event: WeaponRecovered) -> None:
    await connection.execute(
        """
        UPDATE weapon SET gone = NULL WHERE weapon = $1
        """,
        event.weapon,
    )
