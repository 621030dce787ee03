"""What booking does when others tell: it confirms a booking that all agreed to, and rejects one that any refused."""

from __future__ import annotations

from collections.abc import Sequence

from bus.service import Effect, Given
from handlers.armory.events import WeaponRefused
from handlers.auth.events import EntitlementsPublished, LicenceRefused
from handlers.booking.model.bookings import confirm, refuse
from handlers.booking.model.entitlements import Entitled, withdraw
from handlers.booking.model.hours import Span
from handlers.booking.model.states import Booking
from handlers.payment.events import InvoiceIssued, InvoiceRefused


def invoice_issued(booking: Booking | None, told: InvoiceIssued, _: Given) -> Sequence[Effect]:
    if told.purpose != "booking":
        return []
    return confirm(booking, told.invoice, told.total_minor, told.currency)


def licence_refused(booking: Booking | None, told: LicenceRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "auth", told.rule, told.rule_version, told.reason)


def entitlements_published(active: Sequence[Booking], told: EntitlementsPublished, given: Given) -> Sequence[Effect]:
    spans = [(one.weapon_class, Span(one.valid_from, one.valid_until)) for one in told.entitlements]
    return withdraw(active, Entitled(spans, told.rule_version, told.because), given)


def weapon_refused(booking: Booking | None, told: WeaponRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "armory", told.rule, told.rule_version, told.reason)


def invoice_refused(booking: Booking | None, told: InvoiceRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "payment", told.rule, told.rule_version, told.reason)
