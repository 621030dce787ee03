"""What auth does when a lane is held: it says whether the shooter's licences cover the session."""

from __future__ import annotations

from collections.abc import Sequence

from bus.message import Event
from bus.service import Given
from handlers.auth import rules
from handlers.auth.events import LicenceRefused, LicenceValidated
from handlers.auth.rules import Licence
from handlers.booking.events import LaneHeld


def check_licence(licences: Sequence[Licence], held: LaneHeld, _: Given) -> Sequence[Event]:
    terms = held.terms
    refused = rules.refusal(licences, terms.weapon_class, terms.starts_at, terms.ends_at)
    if refused is None:
        return [
            LicenceValidated(
                booking=held.booking,
                terms=terms,
                rule_set=rules.IN_FORCE.code,
                rule_version=rules.IN_FORCE.version,
            )
        ]
    return [
        LicenceRefused(
            booking=held.booking,
            terms=terms,
            rule=refused.rule,
            rule_version=rules.IN_FORCE.version,
            reason=refused.reason,
        )
    ]
