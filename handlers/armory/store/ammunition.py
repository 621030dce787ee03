"""Ammunition by calibre and lot, and what each booking's cartridges come to: loaded for a decision, and written."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.armory.commands import ExplainDifference, RecallLot, ReinstateLot, StockAmmunition, WriteOffAmmunition
from handlers.armory.events import (
    UNNUMBERED,
    AmmunitionReckoned,
    AmmunitionStocked,
    AmmunitionWrittenOff,
    DifferenceExplained,
    Explanation,
    HandoverCorrected,
    LotRecalled,
    LotReinstated,
    WeaponReturned,
)
from handlers.armory.model.ammunition import Stocked
from handlers.armory.model.reckoning import Account, Balance
from handlers.armory.store.loads import lock_stock, lock_weapon
from handlers.armory.store.rounds import count_rounds
from handlers.booking.events import LaneOpened
from handlers.stats.events import SessionScored

OfStock = StockAmmunition | WriteOffAmmunition | RecallLot | ReinstateLot
OfBooking = ExplainDifference | WeaponReturned | HandoverCorrected


async def load_stock(connection: Connection, asked: OfStock) -> list[Stocked]:
    return await lock_stock(connection, asked.calibre)


async def ammunition_stocked(connection: Connection, event: AmmunitionStocked) -> None:
    await connection.execute(
        """
        INSERT INTO lot AS l (calibre, lot, rounds, expires_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (calibre, lot) DO UPDATE SET rounds = l.rounds + excluded.rounds
        """,
        event.calibre,
        event.lot,
        event.rounds,
        event.expires_at,
    )


async def ammunition_written_off(connection: Connection, event: AmmunitionWrittenOff) -> None:
    await connection.execute(
        """
        UPDATE lot SET rounds = rounds - $3 WHERE calibre = $1 AND lot = $2
        """,
        event.calibre,
        event.lot,
        event.rounds,
    )


async def lot_recalled(connection: Connection, event: LotRecalled) -> None:
    await connection.execute(
        """
        UPDATE lot SET recalled = $3 WHERE calibre = $1 AND lot = $2
        """,
        event.calibre,
        event.lot,
        event.reason,
    )


async def lot_reinstated(connection: Connection, event: LotReinstated) -> None:
    await connection.execute(
        """
        UPDATE lot SET recalled = NULL WHERE calibre = $1 AND lot = $2
        """,
        event.calibre,
        event.lot,
    )


async def move_ammunition(connection: Connection, weapon: UUID, rounds: int) -> None:
    """Takes cartridges of a weapon's last loan out of its lot's stock (negative) or puts them back."""
    await connection.execute(
        """
        UPDATE lot SET rounds = rounds + $2
        WHERE (calibre, lot) = (
            SELECT t.calibre, coalesce(l.lot, $3)
            FROM weapon AS w JOIN weapon_type AS t USING (weapon_type) JOIN loan AS l USING (weapon)
            WHERE w.weapon = $1
            ORDER BY l.entry DESC LIMIT 1)
        """,
        weapon,
        rounds,
        UNNUMBERED,
    )


async def lane_opened(connection: Connection, event: LaneOpened) -> None:
    await connection.execute(
        """
        INSERT INTO known_lane (lane, has_target, weapon_classes) VALUES ($1, $2, $3)
        ON CONFLICT (lane) DO UPDATE SET has_target = excluded.has_target, weapon_classes = excluded.weapon_classes
        """,
        event.lane,
        event.target_address is not None,
        list(event.weapon_classes),
    )


async def session_scored(connection: Connection, event: SessionScored) -> None:
    """All that the lane's target counted, for whatever it was worth."""
    await connection.execute(
        """
        INSERT INTO known_score (booking, lane, shots) VALUES ($1, $2, $3)
        ON CONFLICT (booking) DO UPDATE SET lane = excluded.lane, shots = excluded.shots
        """,
        event.session,
        event.lane,
        event.group.shots + event.sighters + event.misses,
    )


async def load_account(connection: Connection, message: OfBooking) -> Account | None:
    return await account_of(connection, message.booking)


async def load_scored_account(connection: Connection, scored: SessionScored) -> Account | None:
    return await account_of(connection, scored.session)


async def account_of(connection: Connection, booking: UUID) -> Account | None:
    """A booking's cartridges; none if no weapon was ever issued for it. Its last weapon is locked."""
    last = await connection.fetchrow(
        """
        SELECT weapon, holder FROM loan WHERE booking = $1
        ORDER BY issued_at DESC, weapon DESC, entry DESC LIMIT 1
        """,
        booking,
    )
    if last is None:
        return None
    weapon = await lock_weapon(connection, last["weapon"])
    assert weapon is not None, "a loan is of a weapon of the register"
    row = await connection.fetchrow(
        """
        SELECT bool_or(l.returned_at IS NULL) AS out,
               s.booking IS NOT NULL AS scored,
               CASE WHEN s.shots > 0 OR n.has_target THEN s.shots END AS counted,
               sum(l.rounds_issued)::int AS issued,
               coalesce(sum(l.rounds_returned), 0)::int AS returned,
               coalesce(sum(l.rounds_written_off), 0)::int AS misfired,
               coalesce(sum(l.rounds_fired), 0)::int AS claimed
        FROM loan AS l LEFT JOIN known_score AS s USING (booking) LEFT JOIN known_lane AS n USING (lane)
        WHERE l.booking = $1
        GROUP BY s.booking, s.shots, n.has_target
        """,
        booking,
    )
    assert row is not None
    told, adjusted = await load_told(connection, booking)
    return Account(
        booking=booking,
        holder=last["holder"],
        **row,
        explained=await load_explained(connection, booking),
        told=told,
        adjusted=adjusted,
        weapon_id=last["weapon"],
        weapon=weapon,
    )


async def load_told(connection: Connection, booking: UUID) -> tuple[Balance | None, int]:
    row = await connection.fetchrow(
        """
        SELECT counted, issued, fired, returned, written_off, unexplained, adjusted FROM reckoning WHERE booking = $1
        """,
        booking,
    )
    return (None, 0) if row is None else (Balance(*list(row)[:-1]), row["adjusted"])


async def load_explained(connection: Connection, booking: UUID) -> dict[Explanation, int]:
    rows = await connection.fetch(
        """
        SELECT reason, sum(rounds)::int AS rounds FROM explanation WHERE booking = $1 GROUP BY reason
        """,
        booking,
    )
    return {row["reason"]: row["rounds"] for row in rows}


async def load_unexplained(connection: Connection, range_: str) -> list[UUID]:
    """The bookings of a range whose cartridges do not add up, the earliest first."""
    rows = await connection.fetch(
        """
        SELECT r.booking FROM reckoning JOIN reservation AS r USING (booking)
        WHERE unexplained <> 0 AND r.range = $1
        ORDER BY lower(r.during), r.booking
        """,
        range_,
    )
    return [row["booking"] for row in rows]


async def difference_explained(connection: Connection, event: DifferenceExplained) -> None:
    await connection.execute(
        """
        INSERT INTO explanation (booking, number, reason, rounds, explained_by, explained_at)
        SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM explanation WHERE booking = $1
        """,
        event.booking,
        event.reason,
        event.rounds,
        event.explained_by,
        event.explained_at,
    )


async def ammunition_reckoned(connection: Connection, event: AmmunitionReckoned) -> None:
    await keep_reckoning(connection, event)
    await count_rounds(connection, event.weapon, event.weapon_rounds)


async def keep_reckoning(connection: Connection, event: AmmunitionReckoned) -> None:
    await connection.execute(
        """
        INSERT INTO reckoning AS r (booking, counted, issued, fired, returned, written_off, unexplained, adjusted,
                                    weapon)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (booking) DO UPDATE
        SET counted = excluded.counted, issued = excluded.issued, fired = excluded.fired,
            returned = excluded.returned, written_off = excluded.written_off, unexplained = excluded.unexplained,
            adjusted = r.adjusted + excluded.adjusted, weapon = excluded.weapon
        """,
        event.booking,
        event.counted,
        event.issued,
        event.fired,
        event.returned,
        event.written_off,
        event.unexplained,
        event.weapon_rounds,
        event.weapon,
    )


async def forget_adjustment(connection: Connection, booking: UUID, weapon: UUID) -> None:
    """A return that was none takes its weapon's count back, and what was changed in it for the booking."""
    await connection.execute(
        """
        UPDATE reckoning SET adjusted = 0 WHERE booking = $1 AND weapon = $2
        """,
        booking,
        weapon,
    )
