"""The states of a weapon as handlers/armory/README.md draws them are the ones that the armory keeps to."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from bus.errors import Rejected
from bus.message import Command
from handlers.armory.commands import (
    CloseDay,
    CorrectHandover,
    FindServiceDue,
    QuarantineWeapon,
    RecoverWeapon,
    ReleaseWeapon,
    ReportLoss,
    RetireWeapon,
    ReturnWeapon,
    ServiceWeapon,
    SetServiceInterval,
    TransferWeapon,
)
from handlers.armory.model.closing import WeaponsStillOut
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import ANNA, AT_COUNTER, booking, checked_in, issue, take_back, terms, validated, weapon
from tests.handlers.scenario import NOON

README = Path(__file__).parents[3] / "handlers/armory/README.md"
ARROW = re.compile(r"^ *(\w+) +-- (\w+(?:, \w+)*) --> (\w+)$", re.MULTILINE)

Triple = tuple[str, str, str]
LATER = NOON + timedelta(days=31)
IT = weapon(1)

ISSUE, BACK_SPENT, BACK_FULL = issue(1, 1, 30), take_back(1, 1, 0), take_back(1, 1, 30)
QUARANTINE, RELEASE = QuarantineWeapon(weapon=IT, reason="damaged"), ReleaseWeapon(weapon=IT)
SERVICE, DUE = ServiceWeapon(weapon=IT, work="cleaned"), FindServiceDue(weapon=IT)
LOSS, RECOVER = ReportLoss(weapon=IT, reason="missing"), RecoverWeapon(weapon=IT)
RETIRE = RetireWeapon(weapon=IT, reason="sold")
BY_ROUNDS = SetServiceInterval(weapon_type="air-rifle", rounds=30)
BY_DAYS = SetServiceInterval(weapon_type="air-rifle", rounds=None, days=30)
CORRECTIONS = [CorrectHandover(weapon=IT, entry=entry, reason="did-not-happen") for entry in (1, 2)]
MOVES: list[Command] = [
    ISSUE, BACK_SPENT, BACK_FULL, QUARANTINE, RELEASE, SERVICE, DUE, LOSS, RECOVER, RETIRE, *CORRECTIONS,
]  # fmt: skip
WAYS: list[list[Command]] = [
    [BY_ROUNDS],
    [BY_ROUNDS, QUARANTINE],
    [BY_ROUNDS, ISSUE],
    [BY_ROUNDS, ISSUE, QUARANTINE],
    [BY_ROUNDS, ISSUE, LOSS],
    [BY_ROUNDS, ISSUE, BACK_SPENT],
    [BY_ROUNDS, ISSUE, BACK_SPENT, QUARANTINE],
    [BY_ROUNDS, ISSUE, BACK_FULL],
    [BY_DAYS],
    [BY_DAYS, ISSUE],
    [BY_DAYS, QUARANTINE],
    [LOSS],
    [LOSS, RECOVER],
    [QUARANTINE, LOSS],
    [RETIRE],
]


def drawn() -> set[Triple]:
    found = [(one[1], one[2], one[3]) for one in ARROW.finditer(README.read_text())]
    return {(before, name, after) for before, names, after in found for name in names.split(", ")}


async def state(armory: Hearing) -> str:
    said: str = await armory.connection.fetchval(
        """
        SELECT CASE WHEN w.gone IS NOT NULL THEN w.gone
                    WHEN EXISTS (SELECT FROM loan AS l WHERE l.weapon = w.weapon AND returned_at IS NULL) THEN 'out'
                    WHEN w.quarantine IS NOT NULL THEN 'quarantined'
                    WHEN w.overdue OR w.rounds_since_service >= t.service_after_rounds THEN 'due'
                    ELSE 'ready' END
        FROM weapon AS w JOIN weapon_type AS t USING (weapon_type) WHERE w.weapon = $1
        """,
        IT,
    )
    return said


async def ask(armory: Hearing, command: Command) -> bool:
    """Whether the armory did something."""
    at = LATER if command is DUE else NOON
    with suppress(Rejected):
        return bool(await armory.hears(command, by=AT_COUNTER, at=at))
    return False


async def done(armory: Hearing, way: Sequence[Command]) -> set[Triple]:
    """Goes a way, and looks from there where each command leads to."""
    await armory.hears(validated(terms(1)))
    await armory.hears(checked_in(terms(1)))
    for command in way:
        assert await ask(armory, command)
    before = await state(armory)
    found: set[Triple] = set()
    for command in MOVES:
        look = armory.connection.transaction()
        await look.start()
        if await ask(armory, command):
            found.add((before, type(command).__name__, await state(armory)))
        await look.rollback()
    return found


async def test_what_is_drawn_is_what_is_done_and_nothing_else_is(stocked: Hearing) -> None:
    found: set[Triple] = set()
    for way in WAYS:
        path = stocked.connection.transaction()
        await path.start()
        found |= await done(stocked, way)
        await path.rollback()
    assert {before for before, _, _ in found} == {"ready", "due", "quarantined", "out", "lost"}
    assert found == drawn()


async def test_the_view_shows_the_same_states(stocked: Hearing, database: Database) -> None:
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(BY_ROUNDS)
    gateway = await database.connect("gateway")
    for command in (ISSUE, BACK_SPENT, QUARANTINE, RELEASE, SERVICE, LOSS, RECOVER, RETIRE):
        assert await ask(stocked, command)
        shown: str = await gateway.fetchval("SELECT state FROM armory.weapons WHERE weapon = $1", IT)
        assert shown == await state(stocked)
    await gateway.close()


async def test_a_weapon_that_is_lost_while_it_is_out_does_not_hold_the_day_up(stocked: Hearing) -> None:
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(ISSUE, by=AT_COUNTER)
    with pytest.raises(WeaponsStillOut):
        await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)
    await stocked.hears(LOSS, by=AT_COUNTER)
    await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)
    held = await stocked.connection.fetchval("SELECT holder FROM loan WHERE weapon = $1 AND returned_at IS NULL", IT)
    assert held == ANNA, "by the book it is still with her"


async def test_what_belongs_to_somebody_else_stays_in_the_armoury_while_that_is_entered(stocked: Hearing) -> None:
    sold = TransferWeapon(weapon=IT, owner=UUID(int=77))
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(ISSUE, by=AT_COUNTER)
    assert not await ask(stocked, sold)
    await stocked.hears(ReturnWeapon(booking=booking(1), weapon=IT, rounds_returned=0), by=AT_COUNTER)
    assert await ask(stocked, sold)
