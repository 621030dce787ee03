"""Ammunition in stock, and what became of each booking's."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.armory.views.view import View


class AmmunitionView(View):
    """How many cartridges of a calibre and a lot are in stock, and whether they can be issued."""

    calibre: str
    lot: str
    rounds: int
    expires_at: datetime | None
    recalled: str | None
    issuable: bool


class IssuedLot(View):
    """Cartridges of a lot that were issued: with which weapon, to whom, and what became of them."""

    calibre: str
    lot: str
    weapon: UUID
    entry: int
    booking: UUID
    holder: UUID
    issued_at: datetime
    rounds_issued: int
    rounds_returned: int | None
    rounds_fired: int | None
    rounds_written_off: int | None


class ExplanationView(View):
    """Why so many of a booking's cartridges differ from its counted shots."""

    number: int
    reason: str
    rounds: int
    explained_by: UUID
    explained_at: datetime


class CartridgesView(View):
    """A booking's cartridges: issued = fired + returned + written off + unexplained.

    Until its shots are counted and its weapons are back they are as the counter has them, and nothing is unexplained.
    """

    booking: UUID
    person: UUID
    state: Literal["out", "uncounted", "closed", "unexplained"]
    issued: int
    fired: int
    returned: int
    written_off: int
    unexplained: int
    counted: int | None


class CartridgesAccount(CartridgesView):
    """A booking's cartridges, and how the differences were explained."""

    explanations: tuple[ExplanationView, ...]


async def ammunition(connection: Connection) -> list[AmmunitionView]:
    rows = await connection.fetch(
        """
        SELECT calibre, lot, rounds, expires_at, recalled, issuable
        FROM armory.ammunition_stock
        ORDER BY calibre, expires_at, lot
        """
    )
    return [AmmunitionView(**row) for row in rows]


async def issued_lots(connection: Connection, calibre: str, lot: str, *, most: int) -> list[IssuedLot]:
    """Who had cartridges of a lot, the last first; for staff."""
    rows = await connection.fetch(
        """
        SELECT calibre, lot, weapon, entry, booking, holder, issued_at, rounds_issued, rounds_returned, rounds_fired,
               rounds_written_off
        FROM armory.issued_lots
        WHERE calibre = $1 AND lot = $2
        ORDER BY issued_at DESC, weapon, entry
        LIMIT $3
        """,
        calibre,
        lot,
        most,
    )
    return [IssuedLot(**row) for row in rows]


async def cartridges(connection: Connection, booking: UUID, *, viewer: UUID, staff: bool) -> CartridgesAccount | None:
    """A booking's cartridges; a shooter sees only his own."""
    row = await connection.fetchrow(
        """
        SELECT booking, person, out, issued::int, returned::int, misfired::int, claimed::int,
               counted, fired, written_off, unexplained
        FROM armory.cartridges
        WHERE booking = $1 AND ($3 OR person = $2)
        """,
        booking,
        viewer,
        staff,
    )
    if row is None:
        return None
    explained = await connection.fetch(
        """
        SELECT number, reason, rounds, explained_by, explained_at
        FROM armory.explanations WHERE booking = $1
        ORDER BY number
        """,
        booking,
    )
    explanations = tuple(ExplanationView(**one) for one in explained)
    return CartridgesAccount(**_cartridges(row).model_dump(), explanations=explanations)


async def differences(connection: Connection, *, most: int) -> list[CartridgesView]:
    """The bookings whose cartridges do not add up, the earliest first; for staff."""
    rows = await connection.fetch(
        """
        SELECT booking, person, out, issued::int, returned::int, misfired::int, claimed::int,
               counted, fired, written_off, unexplained
        FROM armory.cartridges
        WHERE unexplained <> 0
        ORDER BY starts_at, booking
        LIMIT $1
        """,
        most,
    )
    return [_cartridges(row) for row in rows]


def _cartridges(row: Record) -> CartridgesView:
    reckoned = row["fired"] is not None and not row["out"]
    closed: Literal["closed", "unexplained"] = "unexplained" if row["unexplained"] else "closed"
    uncounted: Literal["out", "uncounted"] = "out" if row["out"] else "uncounted"
    return CartridgesView(
        booking=row["booking"],
        person=row["person"],
        state=closed if reckoned else uncounted,
        issued=row["issued"],
        fired=row["fired"] if reckoned else row["claimed"],
        returned=row["returned"],
        written_off=row["written_off"] if reckoned else row["misfired"],
        unexplained=row["unexplained"] if reckoned else 0,
        counted=row["counted"],
    )
