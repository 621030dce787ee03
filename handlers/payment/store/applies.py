"""What each of its own events writes to payment's tables."""

from __future__ import annotations

import json

from bus.connection import Connection
from handlers.payment.events import (
    InvoiceCredited,
    InvoiceIssued,
    InvoiceSettled,
    PaymentTaken,
    PriceListPublished,
    RefundPaid,
    RefundProposed,
)
from handlers.payment.model.invoices import Series, place
from handlers.payment.model.ledger import Booked, legs


async def price_list_published(connection: Connection, event: PriceListPublished) -> None:
    await connection.execute(
        """
        INSERT INTO price_list (currency, price_list_version, ordinal, tax_permille, lane_hour_minor, weapon_minor,
                                round_minor)
        SELECT $1, $2, coalesce(max(ordinal), 0) + 1, $3, $4, $5, $6 FROM price_list
        """,
        event.currency,
        event.price_list_version,
        event.tax_permille,
        event.lane_hour_minor,
        json.dumps(event.weapon_minor),
        json.dumps(event.round_minor),
    )


async def invoice_issued(connection: Connection, event: InvoiceIssued) -> None:
    await insert_invoice(connection, event)
    await insert_lines(connection, event)
    await insert_balance(connection, event)
    await take_number(connection, "invoice", event.number)
    await book(connection, event)


async def invoice_settled(connection: Connection, event: InvoiceSettled) -> None:
    await connection.execute(
        """
        UPDATE balance SET settled_at = $2 WHERE invoice = $1
        """,
        event.invoice,
        event.settled_at,
    )


async def invoice_credited(connection: Connection, event: InvoiceCredited) -> None:
    await insert_credit_note(connection, event)
    await take_back(connection, event)
    await take_number(connection, "credit-note", event.number)
    await book(connection, event)


async def payment_taken(connection: Connection, event: PaymentTaken) -> None:
    await insert_payment(connection, event)
    await add_paid(connection, event)
    await book(connection, event)


async def refund_proposed(connection: Connection, event: RefundProposed) -> None:
    await connection.execute(
        """
        UPDATE balance SET proposed_minor = $2, proposed_by = $3 WHERE invoice = $1
        """,
        event.invoice,
        event.amount_minor,
        event.proposed_by,
    )


async def refund_paid(connection: Connection, event: RefundPaid) -> None:
    await insert_refund(connection, event)
    await add_refunded(connection, event)
    await book(connection, event)


async def insert_invoice(connection: Connection, event: InvoiceIssued) -> None:
    await connection.execute(
        """
        INSERT INTO invoice (invoice, booking, person, number, currency, net_minor, tax_minor, total_minor,
                             price_list_version, issued_at, purpose)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        event.invoice,
        event.booking,
        event.person,
        event.number,
        event.currency,
        event.net_minor,
        event.tax_minor,
        event.total_minor,
        event.price_list_version,
        event.issued_at,
        event.purpose,
    )


async def insert_lines(connection: Connection, event: InvoiceIssued) -> None:
    await connection.executemany(
        """
        INSERT INTO invoice_line (invoice, line, item, title, quantity, unit_minor, net_minor, tax_minor, tax_permille)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                event.invoice,
                number,
                one.item,
                one.title,
                one.quantity,
                one.unit_minor,
                one.net_minor,
                one.tax_minor,
                one.tax_permille,
            )
            for number, one in enumerate(event.lines, start=1)
        ],
    )


async def insert_balance(connection: Connection, event: InvoiceIssued) -> None:
    await connection.execute(
        """
        INSERT INTO balance (invoice, total_minor, paid_minor, credited, refund_due_minor, refunded_minor)
        VALUES ($1, $2, 0, false, 0, 0)
        """,
        event.invoice,
        event.total_minor,
    )


async def insert_credit_note(connection: Connection, event: InvoiceCredited) -> None:
    await connection.execute(
        """
        INSERT INTO credit_note (invoice, number, net_minor, tax_minor, total_minor, refund_due_minor, credited_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.invoice,
        event.number,
        event.net_minor,
        event.tax_minor,
        event.total_minor,
        event.refund_due_minor,
        event.credited_at,
    )


async def take_back(connection: Connection, event: InvoiceCredited) -> None:
    await connection.execute(
        """
        UPDATE balance SET credited = true, refund_due_minor = $2 WHERE invoice = $1
        """,
        event.invoice,
        event.refund_due_minor,
    )


async def insert_payment(connection: Connection, event: PaymentTaken) -> None:
    await connection.execute(
        """
        INSERT INTO payment (payment, invoice, amount_minor, currency, method, taken_by, taken_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.payment,
        event.invoice,
        event.amount_minor,
        event.currency,
        event.method,
        event.taken_by,
        event.taken_at,
    )


async def add_paid(connection: Connection, event: PaymentTaken) -> None:
    await connection.execute(
        """
        UPDATE balance SET paid_minor = paid_minor + $2 WHERE invoice = $1
        """,
        event.invoice,
        event.amount_minor,
    )


async def insert_refund(connection: Connection, event: RefundPaid) -> None:
    await connection.execute(
        """
        INSERT INTO refund (refund, invoice, amount_minor, currency, method, paid_by, paid_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.refund,
        event.invoice,
        event.amount_minor,
        event.currency,
        event.method,
        event.paid_by,
        event.paid_at,
    )


async def add_refunded(connection: Connection, event: RefundPaid) -> None:
    await connection.execute(
        """
        UPDATE balance SET refunded_minor = refunded_minor + $2, proposed_minor = NULL, proposed_by = NULL
        WHERE invoice = $1
        """,
        event.invoice,
        event.amount_minor,
    )


async def take_number(connection: Connection, series: Series, number: str) -> None:
    """Notes that a number of a series was given."""
    year, ordinal = place(number)
    await connection.execute(
        """
        INSERT INTO number_series (series, year, last) VALUES ($1, $2, $3)
        ON CONFLICT (series, year) DO UPDATE SET last = excluded.last
        """,
        series,
        year,
        ordinal,
    )


async def book(connection: Connection, event: Booked) -> None:
    """Enters an event's legs in the ledger."""
    await connection.executemany(
        """
        INSERT INTO leg (source, account, currency, amount_minor, at) VALUES ($1, $2, $3, $4, $5)
        """,
        [(leg.source, leg.account, leg.currency, leg.amount_minor, leg.at) for leg in legs(event)],
    )
