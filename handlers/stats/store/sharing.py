"""Who shares results, and with what a session was shot, as events tell it."""

from __future__ import annotations

from bus.connection import Connection
from handlers.armory.events import WeaponAdded, WeaponIssued
from handlers.stats.events import ResultsShared


async def shared(connection: Connection, event: ResultsShared) -> None:
    if not event.shared:
        await connection.execute("DELETE FROM sharing WHERE person = $1", event.person)
        return
    await connection.execute(
        """
        INSERT INTO sharing (person, shared_at) VALUES ($1, $2)
        ON CONFLICT (person) DO UPDATE SET shared_at = excluded.shared_at
        """,
        event.person,
        event.decided_at,
    )


async def weapon_issued(connection: Connection, event: WeaponIssued) -> None:
    """The weapon issued last is what a session counts for; of one moment, the one whose id is the larger."""
    await connection.execute(
        """
        INSERT INTO known_equipment AS k (session, weapon, lot, issued_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (session) DO UPDATE SET weapon = excluded.weapon, lot = excluded.lot, issued_at = excluded.issued_at
        WHERE (excluded.issued_at, excluded.weapon) > (k.issued_at, k.weapon)
        """,
        event.booking,
        event.weapon,
        event.lot,
        event.issued_at,
    )


async def weapon_added(connection: Connection, event: WeaponAdded) -> None:
    await connection.execute(
        "INSERT INTO known_weapon (weapon, weapon_type) VALUES ($1, $2) ON CONFLICT (weapon) DO NOTHING",
        event.weapon,
        event.weapon_type,
    )
