"""What auth does when a lane is held: it says whether the rules in force let the shooter shoot, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.message import Event
from bus.service import Given
from handlers.auth import rules
from handlers.auth.events import LicenceRefused, LicenceValidated
from handlers.auth.rule_set import RuleSet
from handlers.auth.rules import Shooter
from handlers.booking.events import LaneHeld


@dataclass(frozen=True, slots=True)
class Check:
    """What a held lane is decided on: the shooter, the rules, and how many are booked under supervision then."""

    shooter: Shooter
    rules: RuleSet
    supervised_then: int = 0


def check_licence(check: Check, held: LaneHeld, _: Given) -> Sequence[Event]:
    terms, rule_set = held.terms, check.rules
    decided = rules.decide(
        check.shooter, terms.weapon_class, terms.starts_at, terms.ends_at, rule_set, check.supervised_then
    )
    if decided.refused is None:
        return [
            LicenceValidated(
                booking=held.booking,
                terms=terms,
                rule_set=rule_set.code,
                rule_version=rule_set.version,
                supervised=decided.supervised,
                reason=decided.reason,
                inputs=decided.inputs,
            )
        ]
    return [
        LicenceRefused(
            booking=held.booking,
            terms=terms,
            rule=decided.refused.rule,
            rule_version=rule_set.version,
            reason=decided.refused.reason,
            rule_set=rule_set.code,
            inputs=decided.inputs,
        )
    ]
