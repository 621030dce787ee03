"""The cash desk: money comes in for an invoice, and goes out again for a credited one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.payment.commands import PayRefund, TakePayment
from handlers.payment.events import InvoiceSettled, PaymentTaken, Purpose, RefundPaid, RefundProposed

ALONE_UP_TO_MINOR: Final = 10_000
"""The largest refund, in the currency's minor unit, that one person pays out alone."""

WHOLE: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
THOUSANDTHS: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
"""Currencies (ISO 4217) whose minor unit is not a hundredth: the unit itself, or its thousandth."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an invoice stands."""

    booking: UUID
    person: UUID
    currency: str
    total_minor: int
    paid_minor: int
    credited: bool
    refund_due_minor: int  # less what was refunded already
    proposed_minor: int | None = None  # a large refund that waits for a second person
    proposed_by: UUID | None = None
    purpose: Purpose = "booking"

    @property
    def open_minor(self) -> int:
        return 0 if self.credited else self.total_minor - self.paid_minor


class InvoiceUnknown(Rejected):
    """There is no such invoice."""


class InvoiceTakenBack(Rejected):
    """The invoice was taken back by a credit note; nothing is to be paid on it."""


class OtherCurrency(Rejected):
    """The invoice is in {currency}, not in {offered}."""


class MoreThanOpen(Rejected):
    """{offered} are more than is open on the invoice: {open}."""


class MoreThanDue(Rejected):
    """{asked} are more than is due back on the invoice: {due}."""


class SecondPersonNeeded(Rejected):
    """A refund of more than {alone} takes two people: somebody else has to pay this one out."""


class NobodyAtTheDesk(Rejected):
    """Money is taken and paid out by a person; {actor} is none."""


def shown(minor: int, currency: str) -> str:
    """An amount that is not negative, as people write it: `12.50 EUR`."""
    digits = 0 if currency in WHOLE else 3 if currency in THOUSANDTHS else 2
    whole, part = divmod(minor, 10**digits)
    return f"{whole}.{part:0{digits}} {currency}" if digits else f"{whole} {currency}"


def take_payment(standing: Standing | None, asked: TakePayment, given: Given) -> Sequence[Event]:
    standing = _same_currency(standing, asked.currency)
    if standing.credited:
        raise InvoiceTakenBack
    if asked.amount_minor > standing.open_minor:
        raise MoreThanOpen(
            offered=shown(asked.amount_minor, asked.currency),
            open=shown(standing.open_minor, asked.currency),
        )
    taken = PaymentTaken(
        invoice=asked.invoice,
        person=standing.person,
        payment=given.id,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        method=asked.method,
        taken_by=_cashier(given),
        taken_at=given.at,
    )
    if asked.amount_minor < standing.open_minor:
        return [taken]
    return [taken, _settled(asked.invoice, standing, given)]


def _settled(invoice: UUID, standing: Standing, given: Given) -> InvoiceSettled:
    return InvoiceSettled(invoice=invoice, booking=standing.booking, settled_at=given.at, purpose=standing.purpose)


def pay_refund(standing: Standing | None, asked: PayRefund, given: Given) -> Sequence[Event]:
    standing = _same_currency(standing, asked.currency)
    if asked.amount_minor > standing.refund_due_minor:
        raise MoreThanDue(
            asked=shown(asked.amount_minor, asked.currency),
            due=shown(standing.refund_due_minor, asked.currency),
        )
    cashier = _cashier(given)
    if asked.amount_minor > ALONE_UP_TO_MINOR:
        if standing.proposed_minor != asked.amount_minor:
            return [
                RefundProposed(
                    invoice=asked.invoice,
                    person=standing.person,
                    amount_minor=asked.amount_minor,
                    currency=asked.currency,
                    proposed_by=cashier,
                    proposed_at=given.at,
                )
            ]
        if standing.proposed_by == cashier:
            raise SecondPersonNeeded(alone=shown(ALONE_UP_TO_MINOR, asked.currency))
    return [
        RefundPaid(
            invoice=asked.invoice,
            person=standing.person,
            refund=given.id,
            amount_minor=asked.amount_minor,
            currency=asked.currency,
            method=asked.method,
            paid_by=cashier,
            paid_at=given.at,
        )
    ]


def _same_currency(standing: Standing | None, offered: str) -> Standing:
    if standing is None:
        raise InvoiceUnknown
    if offered != standing.currency:
        raise OtherCurrency(currency=standing.currency, offered=offered)
    return standing


def _cashier(given: Given) -> UUID:
    if given.person is None:
        raise NobodyAtTheDesk(actor=given.actor)
    return given.person
