"""The custody book: who held a weapon when."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection
from handlers.armory.views.view import View


class Custody(View):
    """Who held a weapon at a moment; nobody, if it lay in the armoury."""

    weapon: UUID
    at: datetime
    held_by: UUID | None
    booking: UUID | None
    since: datetime | None
    handed_by: UUID | None


class Handover(View):
    """An entry of the custody book: a weapon went from one person to another. `hash` chains it to the entry before."""

    weapon: UUID
    entry: int
    kind: Literal["issue", "return"]
    booking: UUID
    from_person: UUID
    to_person: UUID
    rounds: int
    at: datetime
    corrects: int | None
    reason: str | None
    corrected_by: UUID | None
    hash: str


class CustodyBook(View):
    """A weapon's custody book: how many entries it has, the hash of its last, and its last entries, the latest first.

    Whoever wrote down an earlier `head` can tell later whether that entry still stands as it did.
    """

    weapon: UUID
    entries: int
    head: str | None
    items: tuple[Handover, ...]


async def custody(connection: Connection, weapon: UUID, at: datetime) -> Custody | None:
    """Who held a weapon of the register at a moment; for staff."""
    row = await connection.fetchrow(
        """
        SELECT w.weapon, $2::timestamptz AS at, h.to_person AS held_by, h.booking, h.at AS since,
               h.from_person AS handed_by
        FROM armory.weapons AS w
        LEFT JOIN LATERAL (
            SELECT kind, booking, from_person, to_person, at FROM armory.handovers
            WHERE weapon = w.weapon AND at <= $2
            ORDER BY entry DESC LIMIT 1
        ) AS h ON h.kind = 'issue'
        WHERE w.weapon = $1
        """,
        weapon,
        at,
    )
    return None if row is None else Custody(**row)


async def handovers(connection: Connection, weapon: UUID, *, most: int = 200) -> list[Handover]:
    """A weapon's last entries in the custody book, the latest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT weapon, entry, kind, booking, from_person, to_person, rounds, at, corrects, reason, corrected_by,
               encode(hash, 'hex') AS hash
        FROM armory.handovers
        WHERE weapon = $1
        ORDER BY entry DESC
        LIMIT $2
        """,
        weapon,
        most,
    )
    return [Handover(**row) for row in rows]


async def custody_book(connection: Connection, weapon: UUID, *, most: int) -> CustodyBook:
    """A weapon's custody book from its end; for staff."""
    items = tuple(await handovers(connection, weapon, most=most))
    head = items[0] if items else None
    return CustodyBook(weapon=weapon, entries=head.entry if head else 0, head=head.hash if head else None, items=items)
