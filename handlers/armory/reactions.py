"""What the armory does when others tell."""

from __future__ import annotations

from collections.abc import Sequence

from bus.message import Event
from bus.service import Given
from handlers.armory.events import ReservationReleased, WeaponRefused, WeaponReserved
from handlers.armory.model.reservations import Demand, Reservation, why_not
from handlers.armory.model.times import Span
from handlers.auth.events import LicenceValidated
from handlers.booking.events import BookingCancelled, BookingRejected, NoShowReleased, SessionFinished

Closing = BookingRejected | BookingCancelled | NoShowReleased | SessionFinished
"""After each of these a booking needs its weapon no more."""


def reserve(demand: Demand, validated: LicenceValidated, given: Given) -> Sequence[Event]:
    terms, booking = validated.terms, validated.booking
    if terms.weapon_type is None or not demand.open:
        return []
    during = Span(terms.starts_at, terms.ends_at)
    refusal = why_not(demand, terms.weapon_type, terms.weapon_class, terms.lane, during, given.at)
    if refusal is None:
        return [WeaponReserved(booking=booking, terms=terms)]
    return [
        WeaponRefused(
            booking=booking,
            terms=terms,
            rule=refusal.rule,
            rule_version=refusal.version,
            reason=refusal.reason,
        )
    ]


def release(kept: Reservation | None, closed: Closing, _given: Given) -> Sequence[Event]:
    if kept is None:
        return []
    return [ReservationReleased(booking=closed.booking, weapon_type=kept.weapon_type)]
