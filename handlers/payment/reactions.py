"""What payment does when others tell: a booking is invoiced, and its invoice taken back if the booking falls through.

A shooter who did not come still owes the invoice: nothing is credited on a no-show. Fees for cancelling late and for
overtime have invoices of their own, at the prices that the booking was invoiced at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.events import WeaponReserved
from handlers.auth.events import LicenceValidated
from handlers.booking.events import BookingCancelled, BookingRejected, CancellationFeeCharged, OvertimeCharged, Terms
from handlers.payment.events import InvoiceIssued, InvoiceRefused, InvoiceSettled, Purpose
from handlers.payment.model.invoices import Demand, Issued, Owed, net, next_number, take_back, tax
from handlers.payment.model.prices import NoPriceList, lane_minor, priced, quote


def invoice_own_weapon(demand: Demand, validated: LicenceValidated, given: Given) -> Sequence[Event]:
    """Who brings a weapon is invoiced as soon as the licence is found good; else the armory speaks first."""
    return [] if validated.terms.weapon_type is not None else invoice(demand, validated, given)


def invoice(demand: Demand, agreed: LicenceValidated | WeaponReserved, given: Given) -> Sequence[Event]:
    terms = agreed.terms
    if not demand.open:
        return []
    if demand.prices is None:
        return [_refused(terms, NoPriceList())]
    lines = quote(demand.prices, terms)
    if isinstance(lines, Rejected):
        return [_refused(terms, lines)]
    issued = InvoiceIssued(
        invoice=terms.booking,
        booking=terms.booking,
        person=terms.person,
        number=next_number("invoice", demand.last_numbers, given.at),
        currency=demand.prices.currency,
        lines=lines,
        net_minor=net(lines),
        tax_minor=tax(lines),
        total_minor=net(lines) + tax(lines),
        price_list_version=demand.prices.version,
        issued_at=given.at,
        terms=terms,
    )
    if issued.total_minor:
        return [issued]
    return [issued, InvoiceSettled(invoice=issued.invoice, booking=issued.booking, settled_at=given.at)]


def credit(issued: Issued, _fallen: BookingCancelled | BookingRejected, given: Given) -> Sequence[Event]:
    if issued.invoice is None:
        return []
    number = next_number("credit-note", issued.last_numbers, given.at)
    return [take_back(issued.invoice, number, given.at)]


def invoice_cancellation_fee(owed: Owed, charged: CancellationFeeCharged, given: Given) -> Sequence[Event]:
    title = f"Cancelled {charged.notice_minutes} minutes before"
    return _extra(owed, charged.terms, "cancellation-fee", title, charged.amount_minor, given)


def invoice_overtime(owed: Owed, charged: OvertimeCharged, given: Given) -> Sequence[Event]:
    if owed.prices is None:
        return []
    amount_minor = lane_minor(owed.prices, timedelta(minutes=charged.minutes))
    return _extra(owed, charged.terms, "overtime", f"Overtime, {charged.minutes} minutes", amount_minor, given)


def _extra(owed: Owed, terms: Terms, purpose: Purpose, title: str, amount_minor: int, given: Given) -> Sequence[Event]:
    """An invoice of one line, beside the booking's; there is none where the booking was never invoiced."""
    if owed.prices is None or not owed.open or not amount_minor:
        return []
    line = priced(purpose, title, 1, amount_minor, owed.prices.tax_permille)
    return [
        InvoiceIssued(
            invoice=given.id,
            booking=terms.booking,
            person=terms.person,
            number=next_number("invoice", owed.last_numbers, given.at),
            currency=owed.prices.currency,
            lines=(line,),
            net_minor=line.net_minor,
            tax_minor=line.tax_minor,
            total_minor=line.net_minor + line.tax_minor,
            price_list_version=owed.prices.version,
            issued_at=given.at,
            terms=terms,
            purpose=purpose,
        )
    ]


def _refused(terms: Terms, refusal: Rejected) -> InvoiceRefused:
    return InvoiceRefused(
        invoice=terms.booking,
        booking=terms.booking,
        terms=terms,
        rule=refusal.rule,
        rule_version=refusal.version,
        reason=refusal.reason,
    )
