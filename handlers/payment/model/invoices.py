"""Invoices and credit notes: their numbers, how one is made of its lines, and how it is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from handlers.payment.events import InvoiceCredited, Line
from handlers.payment.model.prices import PriceList

Series = Literal["invoice", "credit-note"]
"""Invoices and credit notes are numbered apart."""

PREFIX: Final[Mapping[Series, str]] = {"invoice": "", "credit-note": "C"}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request for an invoice meets."""

    open: bool  # the booking has not ended, and payment has not invoiced it yet
    prices: PriceList | None
    last_numbers: Mapping[int, int]  # of each year's invoices


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice that stands, and what was paid on it."""

    invoice: UUID
    booking: UUID
    person: UUID
    currency: str
    lines: tuple[Line, ...]
    paid_minor: int


@dataclass(frozen=True, slots=True)
class Issued:
    """What the end of a booking meets: its invoice, unless there is none or it was taken back."""

    invoice: Invoice | None
    last_numbers: Mapping[int, int]  # of each year's credit notes


@dataclass(frozen=True, slots=True)
class Owed:
    """What a fee for a booking meets: the prices that the booking was invoiced at, if it was."""

    prices: PriceList | None
    open: bool  # it was not invoiced yet
    last_numbers: Mapping[int, int]


def net(lines: tuple[Line, ...]) -> int:
    return sum(line.net_minor for line in lines)


def tax(lines: tuple[Line, ...]) -> int:
    return sum(line.tax_minor for line in lines)


def next_number(series: Series, last_numbers: Mapping[int, int], at: datetime) -> str:
    """The next number of a series in the year (by UTC) of a moment: `2026-000001`, `C2026-000001`."""
    return f"{PREFIX[series]}{at.year}-{last_numbers.get(at.year, 0) + 1:06}"


def place(number: str) -> tuple[int, int]:
    """The year and the place in it that a document's number says."""
    year, _, ordinal = number.removeprefix(PREFIX["credit-note"]).partition("-")
    return int(year), int(ordinal)


def take_back(invoice: Invoice, number: str, at: datetime) -> InvoiceCredited:
    """A credit note over a whole invoice; what was paid on it is due back."""
    net_minor, tax_minor = net(invoice.lines), tax(invoice.lines)
    return InvoiceCredited(
        invoice=invoice.invoice,
        booking=invoice.booking,
        person=invoice.person,
        number=number,
        currency=invoice.currency,
        lines=invoice.lines,
        net_minor=net_minor,
        tax_minor=tax_minor,
        total_minor=net_minor + tax_minor,
        refund_due_minor=invoice.paid_minor,
        credited_at=at,
    )
