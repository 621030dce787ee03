"""8 and 10: the ledger is balanced, and bookings and invoices belong together one to one."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from bus.connection import Connection
from simulation.invariants.evidence import Evidence


async def unbalanced(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Legs that are not 0 together: of one transaction in one currency, and of each currency overall."""
    return await connection.fetch(
        """
        SELECT l.source, l.currency, sum(l.amount_minor) AS amount_minor, count(*) AS legs
        FROM payment.leg AS l GROUP BY GROUPING SETS ((l.source, l.currency), (l.currency), ())
        HAVING sum(l.amount_minor) <> 0
        LIMIT 20
        """
    )


async def legs_that_are_not_what_happened(connection: Connection, _: Evidence) -> Sequence[Record]:
    """What the log says was invoiced, credited, paid or refunded, and the ledger has otherwise."""
    return await connection.fetch(
        """
        WITH happened AS (
            SELECT CASE o.name WHEN 'payment.invoice-issued' THEN 'invoice:' || (o.body ->> 'invoice')
                               WHEN 'payment.invoice-credited' THEN 'credit-note:' || (o.body ->> 'invoice')
                               WHEN 'payment.payment-taken' THEN 'payment:' || (o.body ->> 'payment')
                               ELSE 'refund:' || (o.body ->> 'refund') END AS source,
                   coalesce(o.body ->> 'total_minor', o.body ->> 'amount_minor')::bigint AS amount_minor
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name IN (
                'payment.invoice-issued', 'payment.invoice-credited', 'payment.payment-taken', 'payment.refund-paid')
        ), booked AS (
            SELECT l.source, sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0) AS amount_minor
            FROM payment.leg AS l GROUP BY l.source
        )
        SELECT coalesce(h.source, b.source) AS source, h.amount_minor AS happened_minor, b.amount_minor AS booked_minor
        FROM happened AS h FULL JOIN booked AS b ON b.source = h.source
        WHERE coalesce(h.amount_minor, 0) <> coalesce(b.amount_minor, 0)
        LIMIT 20
        """
    )


async def bookings_and_invoices_apart(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A booking with several invoices, an invoice of no booking or of several, or the two naming each other wrongly."""
    return await connection.fetch(
        """
        SELECT 'booking has invoices' AS what, i.booking, NULL::uuid AS invoice, count(*) AS number
        FROM payment.invoice AS i GROUP BY i.booking, i.purpose HAVING count(*) > 1
        UNION ALL
        SELECT 'invoice has bookings', NULL, b.invoice, count(*)
        FROM booking.booking AS b WHERE b.invoice IS NOT NULL GROUP BY b.invoice HAVING count(*) > 1
        UNION ALL
        SELECT 'invoice of no booking', i.booking, i.invoice, 0
        FROM payment.invoice AS i LEFT JOIN booking.booking AS b ON b.booking = i.booking
        WHERE b.booking IS NULL OR b.person <> i.person
        UNION ALL
        SELECT 'booking of a foreign invoice', b.booking, b.invoice, 0
        FROM booking.booking AS b LEFT JOIN payment.invoice AS i ON i.invoice = b.invoice
        WHERE b.invoice IS NOT NULL AND (i.booking IS DISTINCT FROM b.booking OR i.total_minor <> b.total_minor)
        LIMIT 20
        """
    )


async def paid_without_an_invoice(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Payments in the log, added up by invoice, that no one invoice of one booking stands for."""
    return await connection.fetch(
        """
        WITH paid AS (
            SELECT (o.body ->> 'invoice')::uuid AS invoice, sum((o.body ->> 'amount_minor')::bigint) AS paid_minor
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name = 'payment.payment-taken' GROUP BY 1
        )
        SELECT p.invoice, p.paid_minor, count(i.invoice) AS invoices, count(b.booking) AS bookings,
               min(i.total_minor) AS total_minor, min(s.paid_minor) AS known_minor
        FROM paid AS p
        LEFT JOIN payment.invoice AS i ON i.invoice = p.invoice
        LEFT JOIN payment.balance AS s ON s.invoice = p.invoice
        LEFT JOIN booking.booking AS b ON b.booking = i.booking
        GROUP BY p.invoice, p.paid_minor
        HAVING count(i.invoice) <> 1 OR count(b.booking) <> 1 OR p.paid_minor > min(i.total_minor)
            OR p.paid_minor <> min(s.paid_minor)
        LIMIT 20
        """
    )
