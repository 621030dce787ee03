"""Whether a booking's cartridges add up: issued = fired + returned + written off; what was fired is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

from bus.errors import Rejected
from bus.service import Effect, Given
from handlers.armory.commands import ExplainDifference
from handlers.armory.events import AmmunitionReckoned, DifferenceExplained, Explanation
from handlers.armory.model.fitness import Weapon, used
from handlers.armory.model.people import other_hand

NOT_COUNTED: Final = "not-counted"
NOT_ISSUED: Final = "not-issued"


class Balance(NamedTuple):
    """What a booking's cartridges come to."""

    counted: int | None
    issued: int
    fired: int
    returned: int
    written_off: int
    unexplained: int


@dataclass(frozen=True, slots=True)
class Account:
    """A booking's cartridges: what its loans say, what the target counted, and what was explained."""

    booking: UUID
    holder: UUID
    out: bool  # a weapon is still out, so nothing is final
    scored: bool  # the session's shots were told
    counted: int | None  # none: no target counts shots on that lane
    issued: int
    returned: int
    misfired: int
    claimed: int  # fired, if what did not come back was fired
    explained: Mapping[Explanation, int]
    told: Balance | None  # as it was reckoned last
    adjusted: int  # by so many rounds the weapons' counts were changed for it before
    weapon_id: UUID  # the last one
    weapon: Weapon

    @property
    def balance(self) -> Balance:
        fired = self.claimed
        if self.counted is not None:
            shots = self.counted + self.explained.get(NOT_COUNTED, 0) - self.explained.get(NOT_ISSUED, 0)
            fired = max(0, shots)  # a later count may be less than what was said of an earlier one
        gone = (rounds for why, rounds in self.explained.items() if why not in {NOT_COUNTED, NOT_ISSUED})
        written_off = self.misfired + sum(gone)
        unexplained = self.issued - self.returned - written_off - fired
        return Balance(self.counted, self.issued, fired, self.returned, written_off, unexplained)

    @property
    def change(self) -> int:
        """By how many rounds the weapon's count is to change: the target's count replaces what the counter said."""
        return max(self.balance.fired - self.claimed - self.adjusted, -self.weapon.rounds_fired)


class NothingToExplain(Rejected):
    """The cartridges of this booking are all accounted for, or not counted yet."""


class ExplainsOtherwise(Rejected):
    """{unexplained} cartridges are unexplained; {rounds} cannot be for the reason {reason}."""


def reckon(account: Account | None, _heard: object, given: Given) -> Sequence[Effect]:
    """What a booking's cartridges come to, if that is not what was told last."""
    if account is None or not account.scored or account.out:
        return []
    if account.balance == account.told and account.change == 0:
        return []
    return _reckoned(account, given)


def explain_difference(account: Account | None, asked: ExplainDifference, given: Given) -> Sequence[Effect]:
    if account is None or account.told is None or account.out or account.told.unexplained == 0:
        raise NothingToExplain
    unexplained = account.balance.unexplained
    wanted = -unexplained if asked.reason == NOT_ISSUED else unexplained
    if asked.rounds > wanted:
        raise ExplainsOtherwise(unexplained=unexplained, rounds=asked.rounds, reason=asked.reason)
    said = DifferenceExplained(
        **asked.model_dump(), explained_by=other_hand(given, account.holder), explained_at=given.at
    )
    more = account.explained.get(asked.reason, 0) + asked.rounds
    return [said, *_reckoned(replace(account, explained={**account.explained, asked.reason: more}), given)]


def _reckoned(account: Account, given: Given) -> list[Effect]:
    weapon, change = account.weapon, account.change
    said = AmmunitionReckoned(
        booking=account.booking, **account.balance._asdict(), weapon=account.weapon_id, weapon_rounds=change
    )
    return [said, *used(account.weapon_id, weapon, weapon.after(change), given.at)]
