"""A rule set on trial: which of the bookings of the next sixty days it would refuse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handlers.auth import rulebook
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.model import must_be
from handlers.auth.rule_set import RuleSet
from handlers.auth.rule_store import next_bookings
from handlers.auth.rulebook import MAY_PUBLISH_RULES, TRIED_AHEAD, WouldBeRefused

MOST_BOOKINGS: Final = 10_000
MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule set would refuse until then; `complete` unless there were too many bookings to try them all."""

    until: datetime
    tried: int
    refused: int
    first: list[WouldBeRefused]
    complete: bool


async def try_rules(desk: Desk, caller: Caller, rule_set: RuleSet) -> Trial:
    must_be(MAY_PUBLISH_RULES, caller.roles)
    rulebook.must_make_sense(rule_set)
    async with desk.transaction() as connection:
        until = await now(connection) + TRIED_AHEAD
        bookings = await next_bookings(connection, until, MOST_BOOKINGS + 1)
    refused = await asyncio.to_thread(rulebook.trial, bookings[:MOST_BOOKINGS], rule_set)
    return Trial(
        until=until,
        tried=min(len(bookings), MOST_BOOKINGS),
        refused=len(refused),
        first=refused[:MOST_SHOWN],
        complete=len(bookings) <= MOST_BOOKINGS,
    )
