"""What is loaded from payment's tables for a decision.

Rows are locked in one order: balance, number series.
"""

from __future__ import annotations

import json
from uuid import UUID

from bus.connection import Connection
from handlers.armory.events import WeaponReserved
from handlers.auth.events import LicenceValidated
from handlers.booking.events import BookingCancelled, BookingRejected, CancellationFeeCharged, OvertimeCharged
from handlers.payment.commands import PayRefund, PublishPriceList, TakePayment
from handlers.payment.events import Line, Purpose
from handlers.payment.model.desk import Standing
from handlers.payment.model.invoices import Demand, Invoice, Issued, Owed, Series
from handlers.payment.model.prices import PriceList


async def load_last_version(connection: Connection, asked: PublishPriceList) -> int | None:
    """The currency's last price list, locked."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT price_list_version FROM price_list WHERE currency = $1
        ORDER BY price_list_version DESC LIMIT 1
        FOR UPDATE
        """,
        asked.currency,
    )


async def load_own_weapon_demand(connection: Connection, validated: LicenceValidated) -> Demand:
    """Looks and locks only if payment is the one to answer."""
    if validated.terms.weapon_type is not None:
        return Demand(open=False, prices=None, last_numbers={})
    return await load_demand(connection, validated)


async def load_demand(connection: Connection, agreed: LicenceValidated | WeaponReserved) -> Demand:
    if not await is_open(connection, agreed.booking):
        return Demand(open=False, prices=None, last_numbers={})
    return Demand(
        open=True,
        prices=await prices_now(connection),
        last_numbers=await lock_numbers(connection, "invoice"),
    )


async def load_issued(connection: Connection, fallen: BookingCancelled | BookingRejected) -> Issued:
    row = await connection.fetchrow(
        """
        SELECT i.invoice, i.booking, i.person, i.currency, b.paid_minor
        FROM invoice AS i JOIN balance AS b USING (invoice)
        WHERE i.booking = $1 AND i.purpose = 'booking' AND NOT b.credited
        FOR UPDATE OF b
        """,
        fallen.booking,
    )
    if row is None:
        return Issued(invoice=None, last_numbers={})
    invoice = Invoice(**row, lines=await lines_of(connection, row["invoice"]))
    return Issued(invoice, await lock_numbers(connection, "credit-note"))


async def load_cancellation_fee(connection: Connection, charged: CancellationFeeCharged) -> Owed:
    return await load_owed(connection, charged.booking, "cancellation-fee")


async def load_overtime(connection: Connection, charged: OvertimeCharged) -> Owed:
    return await load_owed(connection, charged.booking, "overtime")


async def load_owed(connection: Connection, booking: UUID, purpose: Purpose) -> Owed:
    row = await connection.fetchrow(
        """
        SELECT p.currency, p.price_list_version AS version, p.tax_permille, p.lane_hour_minor, p.weapon_minor,
               p.round_minor,
               EXISTS (SELECT FROM invoice AS o WHERE o.booking = $1 AND o.purpose = $2) AS known
        FROM invoice AS i JOIN price_list AS p USING (currency, price_list_version)
        WHERE i.booking = $1 AND i.purpose = 'booking'
        """,
        booking,
        purpose,
    )
    if row is None:
        return Owed(prices=None, open=False, last_numbers={})
    by_name = {name: json.loads(row[name]) for name in ("weapon_minor", "round_minor")}
    facts = {name: row[name] for name in ("currency", "version", "tax_permille", "lane_hour_minor")}
    return Owed(PriceList(**facts, **by_name), not row["known"], await lock_numbers(connection, "invoice"))


async def load_standing(connection: Connection, asked: TakePayment | PayRefund) -> Standing | None:
    row = await connection.fetchrow(
        """
        SELECT i.booking, i.person, i.currency, i.purpose, b.total_minor, b.paid_minor, b.credited,
               b.refund_due_minor - b.refunded_minor AS refund_due_minor, b.proposed_minor, b.proposed_by
        FROM invoice AS i JOIN balance AS b USING (invoice)
        WHERE i.invoice = $1
        FOR UPDATE OF b
        """,
        asked.invoice,
    )
    return None if row is None else Standing(**row)


async def is_open(connection: Connection, booking: UUID) -> bool:
    """Whether a booking still waits for its invoice."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT NOT EXISTS (SELECT FROM known_booking WHERE booking = $1)
           AND NOT EXISTS (SELECT FROM invoice WHERE booking = $1 AND purpose = 'booking')
        """,
        booking,
    )


async def prices_now(connection: Connection) -> PriceList | None:
    """The price list published last."""
    row = await connection.fetchrow(
        """
        SELECT currency, price_list_version AS version, tax_permille, lane_hour_minor, weapon_minor, round_minor
        FROM price_list ORDER BY ordinal DESC LIMIT 1
        """
    )
    if row is None:
        return None
    by_name = {name: json.loads(row[name]) for name in ("weapon_minor", "round_minor")}
    return PriceList(**{**row, **by_name})


async def lock_numbers(connection: Connection, series: Series) -> dict[int, int]:
    """The last number of each year in a series, locked until the next one is given."""
    rows = await connection.fetch(
        """
        SELECT year, last FROM number_series WHERE series = $1
        ORDER BY year
        FOR UPDATE
        """,
        series,
    )
    return {row["year"]: row["last"] for row in rows}


async def lines_of(connection: Connection, invoice: UUID) -> tuple[Line, ...]:
    rows = await connection.fetch(
        """
        SELECT item, title, quantity, unit_minor, net_minor, tax_minor, tax_permille
        FROM invoice_line WHERE invoice = $1 ORDER BY line
        """,
        invoice,
    )
    return tuple(Line(**row) for row in rows)
