"""Who stands at the counter."""

from __future__ import annotations

from uuid import UUID

from bus.errors import Rejected
from bus.service import Given


class NobodyAtTheCounter(Rejected):
    """What is done with weapons is done by a person; {actor} is none."""


class HandedToOneself(Rejected):
    """A weapon changes hands between two people; nobody issues one to himself or takes one back from himself."""


def who(given: Given) -> UUID:
    if given.person is None:
        raise NobodyAtTheCounter(actor=given.actor)
    return given.person


def other_hand(given: Given, shooter: UUID) -> UUID:
    """Who stands at the counter: a person, and another than the shooter."""
    if who(given) == shooter:
        raise HandedToOneself
    return who(given)
