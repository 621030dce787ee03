"""What payment does when others tell: a booking is invoiced, and its invoice taken back if the booking falls through.

A shooter who did not come still owes the invoice: nothing is credited on a no-show.
"""

from __future__ import annotations

from collections.abc import Sequence

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.events import WeaponReserved
from handlers.auth.events import LicenceValidated
from handlers.booking.events import BookingCancelled, BookingRejected, Terms
from handlers.payment.events import InvoiceIssued, InvoiceRefused, InvoiceSettled
from handlers.payment.model.invoices import Demand, Issued, net, next_number, take_back, tax
from handlers.payment.model.prices import NoPriceList, quote


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


def _refused(terms: Terms, refusal: Rejected) -> InvoiceRefused:
    return InvoiceRefused(
        invoice=terms.booking,
        booking=terms.booking,
        terms=terms,
        rule=refusal.rule,
        rule_version=refusal.version,
        reason=refusal.reason,
    )
