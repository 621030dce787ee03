"""What payment tells."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus import answers
from bus.fields import Code, Currency, Minor, Moment, Text
from bus.message import Event
from handlers.booking.events import Terms

Method = Literal["cash", "card-terminal", "transfer"]
"""How money changed hands at the desk."""


class Line(BaseModel):
    """One line of an invoice: quantity times unit price, tax included in the total and shown apart."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    item: Code
    title: Text
    quantity: int = Field(ge=0, le=100_000)
    unit_minor: Minor
    net_minor: Minor
    tax_minor: Minor
    tax_permille: int = Field(ge=0, le=1000)


class PriceListPublished(Event, name="payment.price-list-published", stream="price-list:{currency}"):
    """New prices hold from now on."""

    price_list_version: int
    currency: Currency
    tax_permille: int
    lane_hour_minor: Minor
    weapon_minor: dict[Code, Minor]
    round_minor: dict[Code, Minor]


Purpose = Literal["booking", "cancellation-fee", "overtime"]
"""What an invoice is for; a booking has one of each at most."""


class InvoiceIssued(Event, name="payment.invoice-issued", stream="invoice:{invoice}"):
    """A booking was invoiced."""

    invoice: UUID
    booking: UUID
    person: UUID
    number: Text
    currency: Currency
    lines: tuple[Line, ...]
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    price_list_version: int
    issued_at: Moment
    terms: Terms
    purpose: Purpose = "booking"


class InvoiceRefused(Event, name="payment.invoice-refused", stream="invoice:{invoice}"):
    """A booking cannot be invoiced, so it cannot stand."""

    invoice: UUID
    booking: UUID
    terms: Terms
    rule: Code
    rule_version: int
    reason: Text


class InvoiceCredited(Event, name="payment.invoice-credited", stream="invoice:{invoice}"):
    """An invoice was taken back by a credit note of its own number; what was paid on it is now owed to the payer."""

    invoice: UUID
    booking: UUID
    person: UUID
    number: Text
    currency: Currency
    lines: tuple[Line, ...]
    net_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    refund_due_minor: Minor
    credited_at: Moment


class PaymentTaken(Event, name="payment.payment-taken", stream="invoice:{invoice}"):
    """Money for an invoice came in at the desk."""

    invoice: UUID
    person: UUID
    payment: UUID
    amount_minor: Minor
    currency: Currency
    method: Method
    taken_by: UUID
    taken_at: Moment


class InvoiceSettled(Event, name="payment.invoice-settled", stream="invoice:{invoice}"):
    """Nothing is open on the invoice any more."""

    invoice: UUID
    booking: UUID
    settled_at: Moment
    purpose: Purpose = "booking"


class RefundProposed(Event, name="payment.refund-proposed", stream="invoice:{invoice}"):
    """A large refund waits for a second person, who pays it out by asking for the same."""

    invoice: UUID
    person: UUID
    amount_minor: Minor
    currency: Currency
    proposed_by: UUID
    proposed_at: Moment


class RefundPaid(Event, name="payment.refund-paid", stream="invoice:{invoice}"):
    """Money that was owed back was paid out at the desk."""

    invoice: UUID
    person: UUID
    refund: UUID
    amount_minor: Minor
    currency: Currency
    method: Method
    paid_by: UUID
    paid_at: Moment


class CommandRejected(answers.CommandRejected, name="payment.command-rejected", stream="{about}", rejects="command"):
    """Payment refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="payment.command-failed", stream="{about}", fails="command"):
    """Payment could not carry out a command because of a fault."""
