"""Double entry: what each event does to the accounts, read from the event alone.

A debit is positive, a credit negative; the legs of one event come to 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from handlers.payment.events import InvoiceCredited, InvoiceIssued, Line, Method, PaymentTaken, RefundPaid

Booked = InvoiceIssued | InvoiceCredited | PaymentTaken | RefundPaid
"""The events that move money or debts."""

TAX: Final = "tax-payable"
MONEY: Final[Mapping[Method, str]] = {"cash": "cash", "card-terminal": "card-clearing", "transfer": "bank"}


@dataclass(frozen=True, slots=True)
class Leg:
    """What a source did to one account."""

    source: str
    account: str
    currency: str
    amount_minor: int
    at: datetime


def receivable(person: UUID) -> str:
    """What a person owes the range."""
    return f"receivable:{person}"


def customer_credit(person: UUID) -> str:
    """What the range owes a person."""
    return f"customer-credit:{person}"


def earned(lines: tuple[Line, ...]) -> Counter[str]:
    """What lines bring to the accounts of revenue and tax."""
    accounts: Counter[str] = Counter()
    for line in lines:
        accounts[f"revenue:{line.item}"] -= line.net_minor
        accounts[TAX] -= line.tax_minor
    return accounts


def legs(event: Booked) -> tuple[Leg, ...]:
    match event:
        case InvoiceIssued():
            source, at = f"invoice:{event.invoice}", event.issued_at
            amounts = earned(event.lines)
            amounts[receivable(event.person)] += event.total_minor
        case InvoiceCredited():
            source, at = f"credit-note:{event.invoice}", event.credited_at
            amounts = Counter({account: -amount for account, amount in earned(event.lines).items()})
            amounts[receivable(event.person)] -= event.total_minor - event.refund_due_minor
            amounts[customer_credit(event.person)] -= event.refund_due_minor
        case PaymentTaken():
            source, at = f"payment:{event.payment}", event.taken_at
            amounts = Counter({MONEY[event.method]: event.amount_minor, receivable(event.person): -event.amount_minor})
        case RefundPaid():
            source, at = f"refund:{event.refund}", event.paid_at
            amounts = Counter(
                {customer_credit(event.person): event.amount_minor, MONEY[event.method]: -event.amount_minor}
            )
        case _:
            assert_never(event)
    return tuple(Leg(source, account, event.currency, amount, at) for account, amount in amounts.items() if amount)
