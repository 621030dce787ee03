from dataclasses import replace
from datetime import timedelta

import pytest

from bus.errors import Rejected
from handlers.armory.commands import CorrectHandover
from handlers.armory.events import HandoverCorrected
from handlers.armory.model.ammunition import AmmunitionShort
from handlers.armory.model.corrections import CorrectionNotCorrected, EntryNotLast, LastEntry, Page, correct_handover
from handlers.armory.model.custody import BookingHoldsWeapon
from handlers.armory.model.fitness import WeaponUnknown
from handlers.armory.model.people import HandedToOneself, NobodyAtTheCounter
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    CARLA,
    RIFLE,
    booking,
    checked_in,
    finished,
    issue,
    take_back,
    terms,
    validated,
    weapon,
)
from tests.handlers.scenario import NOON, given

RETURN = LastEntry(
    entry=2, kind="return", at=NOON, corrects=None, booking=booking(1), holder=ANNA, rounds=15, rounds_fired=25
)
ISSUE = LastEntry(
    entry=1, kind="issue", at=NOON, corrects=None, booking=booking(1), holder=ANNA, rounds=40, rounds_fired=0
)
PAGE = Page(RIFLE, RETURN, booking_holds_one=False, rounds_in_stock=100)
ASK = CorrectHandover(weapon=weapon(1), entry=2, reason="wrong-rounds")


def test_a_return_that_was_none_leaves_the_weapon_with_its_holder() -> None:
    given(PAGE, actor=AT_COUNTER).when(correct_handover, ASK).then(
        HandoverCorrected(
            weapon=weapon(1),
            corrects=2,
            kind="issue",
            booking=booking(1),
            from_person=CARLA,
            to_person=ANNA,
            rounds=15,
            rounds_not_fired=25,
            reason="wrong-rounds",
            corrected_by=CARLA,
            corrected_at=NOON,
        )
    )


def test_an_issue_that_was_none_puts_the_weapon_back() -> None:
    asked = CorrectHandover(weapon=weapon(1), entry=1, reason="wrong-weapon")
    given(replace(PAGE, last=ISSUE), actor=AT_COUNTER).when(correct_handover, asked).then(
        HandoverCorrected(
            weapon=weapon(1),
            corrects=1,
            kind="return",
            booking=booking(1),
            from_person=ANNA,
            to_person=CARLA,
            rounds=40,
            rounds_not_fired=0,
            reason="wrong-weapon",
            corrected_by=CARLA,
            corrected_at=NOON,
        )
    )


@pytest.mark.parametrize(
    ("page", "actor", "rule"),
    [
        (replace(PAGE, weapon=None), AT_COUNTER, WeaponUnknown),
        (replace(PAGE, last=None), AT_COUNTER, EntryNotLast),
        (replace(PAGE, last=replace(RETURN, entry=4)), AT_COUNTER, EntryNotLast),
        (replace(PAGE, last=replace(RETURN, corrects=1)), AT_COUNTER, CorrectionNotCorrected),
        (replace(PAGE, booking_holds_one=True), AT_COUNTER, BookingHoldsWeapon),
        (replace(PAGE, rounds_in_stock=14), AT_COUNTER, AmmunitionShort),
        (PAGE, f"person:{ANNA}", HandedToOneself),
        (PAGE, "service:booking", NobodyAtTheCounter),
    ],
)
def test_the_custody_book_is_not_corrected_against_the_rules(page: Page, actor: str, rule: type[Rejected]) -> None:
    given(page, actor=actor).when(correct_handover, ASK).then_refused(rule)


async def in_stock(armory: Hearing) -> int:
    rounds: int = await armory.connection.fetchval("SELECT rounds FROM lot WHERE calibre = '4.5 mm'")
    return rounds


async def test_what_a_wrong_entry_did_is_undone_and_can_be_done_right(stocked: Hearing, database: Database) -> None:
    later = NOON + timedelta(minutes=5)
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(issue(unit=1, rounds=40), by=AT_COUNTER)
    await stocked.hears(CorrectHandover(weapon=weapon(1), entry=1, reason="wrong-weapon"), by=AT_COUNTER, at=later)
    assert await in_stock(stocked) == 100
    await stocked.hears(issue(unit=2, rounds=40), by=AT_COUNTER, at=later)
    await stocked.hears(take_back(unit=2, rounds=15), by=AT_COUNTER, at=later)
    await stocked.hears(CorrectHandover(weapon=weapon(2), entry=2, reason="wrong-rounds"), by=AT_COUNTER, at=later)
    assert await in_stock(stocked) == 60
    with pytest.raises(CorrectionNotCorrected):
        await stocked.hears(CorrectHandover(weapon=weapon(2), entry=3, reason="wrong-rounds"), by=AT_COUNTER)
    await stocked.hears(take_back(unit=2, rounds=10), by=AT_COUNTER, at=later)
    assert await in_stock(stocked) == 70
    fired = await stocked.connection.fetchval("SELECT sum(rounds_fired) FROM loan")
    assert fired == 30
    await stocked.hears(finished(1))

    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
