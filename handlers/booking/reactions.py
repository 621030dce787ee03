"""What booking does when others tell: it confirms a booking that all agreed to, and rejects one that any refused."""

from __future__ import annotations

from collections.abc import Sequence

from bus.service import Effect, Given
from handlers.armory.events import WeaponRefused
from handlers.auth.events import LicenceRefused
from handlers.booking.model.bookings import confirm, refuse
from handlers.booking.model.states import Booking
from handlers.payment.events import InvoiceIssued, InvoiceRefused


def invoice_issued(booking: Booking | None, told: InvoiceIssued, _: Given) -> Sequence[Effect]:
    return confirm(booking, told.invoice, told.total_minor, told.currency)


def licence_refused(booking: Booking | None, told: LicenceRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "auth", told.rule, told.rule_version, told.reason)


def weapon_refused(booking: Booking | None, told: WeaponRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "armory", told.rule, told.rule_version, told.reason)


def invoice_refused(booking: Booking | None, told: InvoiceRefused, _: Given) -> Sequence[Effect]:
    return refuse(booking, "payment", told.rule, told.rule_version, told.reason)
