"""What becomes of bookings when their shooter may shoot less than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from bus.service import Effect, Given, Unschedule
from handlers.booking.events import BookingCancelled, EntitlementLost
from handlers.booking.model.bookings import no_show_key, refuse
from handlers.booking.model.hours import Span
from handlers.booking.model.rules import EntitlementWithdrawn
from handlers.booking.model.states import Booking, State

AUTH: Final = "service:auth"


@dataclass(frozen=True, slots=True)
class Entitled:
    """What a shooter may shoot from now on, by which version of auth's rules, and what took something away."""

    spans: Sequence[tuple[str, Span]]  # a weapon class and when
    rule_version: int
    because: str | None

    def covers(self, booking: Booking) -> bool:
        terms = booking.terms
        return any(
            weapon_class == terms.weapon_class and span.starts_at <= terms.starts_at and terms.ends_at <= span.ends_at
            for weapon_class, span in self.spans
        )


def withdraw(active: Sequence[Booking], entitled: Entitled, given: Given) -> Sequence[Effect]:
    """Calls off what is covered no more; what cannot be called off any more is flagged for staff, once."""
    return [
        effect
        for booking in active
        if booking.terms.ends_at > given.at and not entitled.covers(booking)
        for effect in _call_off(booking, entitled, given)
    ]


def _call_off(booking: Booking, entitled: Entitled, given: Given) -> Sequence[Effect]:
    withdrawn = EntitlementWithdrawn(because=entitled.because or "what they allow was changed")
    rule, version, reason = withdrawn.rule, entitled.rule_version, withdrawn.reason
    id_, person = booking.terms.booking, booking.terms.person
    match booking.state:
        case State.HELD:
            return refuse(booking, "auth", rule, version, reason)
        case State.CONFIRMED | State.CHECKED_IN if not booking.weapon_out:
            return [
                BookingCancelled(
                    booking=id_, person=person, cancelled_by=AUTH, rule=rule, rule_version=version, reason=reason
                ),
                Unschedule(no_show_key(id_)),
            ]
        case State.CONFIRMED | State.CHECKED_IN | State.IN_USE:
            if booking.entitlement_lost:
                return []
            return [
                EntitlementLost(
                    booking=id_,
                    person=person,
                    lane=booking.terms.lane,
                    rule=rule,
                    rule_version=version,
                    reason=reason,
                    lost_at=given.at,
                )
            ]
        case State.FINISHED | State.REJECTED | State.CANCELLED | State.NO_SHOW:
            return []
        case _:
            assert_never(booking.state)
