"""What others may read of payment: prices, invoices, debts, and the ledger's trial balance."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from bus.connection import Connection
from handlers.payment.events import Line, Method


class View(BaseModel):
    """An answer of payment; amounts are in the currency's minor unit (cents)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceListView(View):
    """The prices that hold now, tax contained: weapons by type, cartridges by weapon class."""

    currency: str
    price_list_version: int
    tax_permille: int
    lane_hour_minor: int
    weapon_minor: dict[str, int]
    round_minor: dict[str, int]


class InvoiceSummary(View):
    """An invoice, what was paid on it, and what is due back if it was credited."""

    invoice: UUID
    booking: UUID
    person: UUID
    number: str
    state: Literal["open", "settled", "credited"]
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    paid_minor: int
    open_minor: int
    refund_due_minor: int
    refunded_minor: int
    price_list_version: int
    issued_at: datetime
    settled_at: datetime | None
    credit_note: str | None
    credited_at: datetime | None


class PaymentView(View):
    """Money that came in for an invoice, or (negative) was paid back."""

    id: UUID
    amount_minor: int
    currency: str
    method: Method
    handled_by: UUID
    at: datetime


class InvoiceView(InvoiceSummary):
    """An invoice with its lines, and the money that came in for it or was paid back."""

    lines: list[Line]
    payments: list[PaymentView]


class Debt(View):
    """What a person owes in a currency: on how many invoices, and since when."""

    person: UUID
    currency: str
    open_minor: int
    invoices: int
    since: datetime


class AccountView(View):
    """An account of the ledger; the balance is debit less credit."""

    account: str
    currency: str
    debit_minor: int
    credit_minor: int
    balance_minor: int


class CurrencyTotal(View):
    """All accounts of a currency together; in books that are right, debit and credit are the same."""

    currency: str
    debit_minor: int
    credit_minor: int


class TrialBalance(View):
    """Every account and what it comes to, and the sum over all of them in each currency."""

    accounts: list[AccountView]
    totals: list[CurrencyTotal]
    balanced: bool


async def prices(connection: Connection) -> PriceListView | None:
    row = await connection.fetchrow(
        """
        SELECT currency, price_list_version, tax_permille, lane_hour_minor, weapon_minor, round_minor
        FROM payment.price_lists
        ORDER BY ordinal DESC LIMIT 1
        """
    )
    if row is None:
        return None
    by_name = {name: json.loads(row[name]) for name in ("weapon_minor", "round_minor")}
    return PriceListView(**{**row, **by_name})


async def invoice(connection: Connection, invoice: UUID, *, viewer: UUID, staff: bool) -> InvoiceView | None:
    """One invoice; a shooter sees only his own."""
    row = await connection.fetchrow(
        """
        SELECT i.invoice, i.booking, i.person, i.number, i.state, i.currency, i.net_minor, i.tax_minor, i.total_minor,
               i.paid_minor, i.open_minor, i.refund_due_minor, i.refunded_minor, i.price_list_version, i.issued_at,
               i.settled_at, i.credit_note, i.credited_at,
               (SELECT jsonb_agg(to_jsonb(l) - 'invoice' - 'line' ORDER BY l.line)
                FROM payment.invoice_lines AS l WHERE l.invoice = i.invoice) AS lines,
               (SELECT jsonb_agg(to_jsonb(p) - 'invoice' ORDER BY p.at, p.id)
                FROM payment.payments AS p WHERE p.invoice = i.invoice) AS payments
        FROM payment.invoices AS i
        WHERE i.invoice = $1 AND ($3 OR i.person = $2)
        """,
        invoice,
        viewer,
        staff,
    )
    if row is None:
        return None
    lists = {name: json.loads(row[name] or "[]") for name in ("lines", "payments")}
    return InvoiceView(**{**row, **lists})


async def invoices(
    connection: Connection, person: UUID, *, viewer: UUID, staff: bool, most: int = 100
) -> list[InvoiceSummary]:
    """A person's last invoices, the latest first; a shooter sees only his own."""
    rows = await connection.fetch(
        """
        SELECT invoice, booking, person, number, state, currency, net_minor, tax_minor, total_minor, paid_minor,
               open_minor, refund_due_minor, refunded_minor, price_list_version, issued_at, settled_at, credit_note,
               credited_at
        FROM payment.invoices
        WHERE person = $1 AND ($3 OR person = $2)
        ORDER BY issued_at DESC, number DESC
        LIMIT $4
        """,
        person,
        viewer,
        staff,
        most,
    )
    return [InvoiceSummary(**row) for row in rows]


async def debts(connection: Connection) -> list[Debt]:
    """Who owes what, the oldest debt first; for staff."""
    rows = await connection.fetch(
        """
        SELECT person, currency, sum(open_minor)::bigint AS open_minor, count(*) AS invoices, min(issued_at) AS since
        FROM payment.invoices
        WHERE open_minor > 0
        GROUP BY person, currency
        ORDER BY since, person
        """
    )
    return [Debt(**row) for row in rows]


async def trial_balance(connection: Connection) -> TrialBalance:
    """The whole ledger, account by account; for staff."""
    rows = await connection.fetch(
        """
        SELECT account, currency, debit_minor, credit_minor, balance_minor
        FROM payment.accounts
        ORDER BY currency, account
        """
    )
    accounts = [AccountView(**row) for row in rows]
    totals = [
        CurrencyTotal(
            currency=currency,
            debit_minor=sum(one.debit_minor for one in accounts if one.currency == currency),
            credit_minor=sum(one.credit_minor for one in accounts if one.currency == currency),
        )
        for currency in sorted({one.currency for one in accounts})
    ]
    balanced = all(total.debit_minor == total.credit_minor for total in totals)
    return TrialBalance(accounts=accounts, totals=totals, balanced=balanced)
