import asyncio

import asyncpg
import pytest

from bus.message import Message
from handlers.armory.commands import AddWeapon
from handlers.armory.events import (
    ReservationReleased,
    WeaponIssued,
    WeaponRefused,
    WeaponReserved,
    WeaponReturned,
    WeaponTypeStocked,
)
from handlers.armory.model.ammunition import AmmunitionShort
from handlers.armory.model.custody import (
    BookingHoldsWeapon,
    NotCheckedIn,
    NothingReserved,
    PromisedToOthers,
    WeaponOfAnotherType,
    WeaponOut,
)
from handlers.armory.model.people import HandedToOneself
from handlers.armory.model.register import SerialKnown, WeaponKnown
from handlers.armory.service import service
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    BORIS,
    HOUR,
    booking,
    cancelled,
    checked_in,
    finished,
    issue,
    not_come,
    rejected,
    take_back,
    terms,
    validated,
    weapon,
)
from tests.handlers.scenario import NOON


async def reserved(armory: Hearing, number: int, **about: object) -> None:
    asked = terms(number, **about)  # type: ignore[arg-type]
    assert await armory.hears(validated(asked)) == (WeaponReserved(booking=booking(number), terms=asked),)


async def in_stock(armory: Hearing) -> int:
    rounds: int = await armory.connection.fetchval("SELECT rounds FROM lot WHERE calibre = '4.5 mm'")
    return rounds


async def test_the_units_told_of_a_type_are_its_weapons_in_the_register(stocked: Hearing) -> None:
    told = {one.weapon_type: one.units for one in stocked.log if isinstance(one, WeaponTypeStocked)}
    assert told == {"air-rifle": 2, "sport-pistol": 1}
    kinds = await stocked.connection.fetch("SELECT weapon_type, units FROM weapon_type")
    assert {row["weapon_type"]: row["units"] for row in kinds} == told


async def test_a_weapon_is_known_by_its_id_and_by_its_serial_number(stocked: Hearing) -> None:
    with pytest.raises(WeaponKnown):
        await stocked.hears(AddWeapon(weapon=weapon(1), weapon_type="air-rifle", serial="another"))
    with pytest.raises(SerialKnown):
        await stocked.hears(AddWeapon(weapon=weapon(9), weapon_type="air-rifle", serial="SN-2024-001"))


async def test_the_third_of_three_who_want_two_rifles_is_refused_until_one_cancels(stocked: Hearing) -> None:
    await reserved(stocked, 1)
    await reserved(stocked, 2)
    (refused,) = await stocked.hears(validated(terms(3)))
    assert isinstance(refused, WeaponRefused)
    assert refused.rule == "no-weapon-free"

    assert await stocked.hears(cancelled(1)) == (ReservationReleased(booking=booking(1), weapon_type="air-rifle"),)
    await reserved(stocked, 4)


async def test_reservations_that_follow_each_other_share_a_unit(stocked: Hearing) -> None:
    for number in range(6):
        await reserved(stocked, number, starts_at=NOON + (number // 2) * HOUR)
    (refused,) = await stocked.hears(validated(terms(9, starts_at=NOON + HOUR / 2)))
    assert isinstance(refused, WeaponRefused)


@pytest.mark.parametrize("end", [rejected(), cancelled(), not_come(), finished()])
async def test_a_request_for_a_booking_that_has_ended_does_nothing(stocked: Hearing, end: Message) -> None:
    assert await stocked.hears(end) == ()
    assert await stocked.hears(validated(terms(1))) == ()


async def test_a_booking_is_answered_once(stocked: Hearing) -> None:
    await reserved(stocked, 1)
    assert await stocked.hears(validated(terms(1))) == ()
    await stocked.hears(cancelled(1))
    assert await stocked.hears(validated(terms(1))) == ()
    assert await stocked.hears(cancelled(1)) == ()


async def test_of_two_who_ask_for_the_last_unit_at_the_same_moment_one_gets_it(
    stocked: Hearing, database: Database
) -> None:
    other = Hearing(service(), await database.connect("armory"))
    for first, second in ((1, 2), (3, 4)):
        await reserved(stocked, 10 + first, starts_at=NOON + first * HOUR)  # one of two units is left
        answers = await asyncio.gather(
            stocked.hears(validated(terms(first, starts_at=NOON + first * HOUR))),
            other.hears(validated(terms(second, starts_at=NOON + first * HOUR))),
        )
        assert {type(one) for (one,) in answers} == {WeaponReserved, WeaponRefused}
    await other.connection.close()


async def test_a_weapon_goes_out_and_comes_back_with_its_cartridges(stocked: Hearing) -> None:
    await reserved(stocked, 1)
    await stocked.hears(checked_in(terms(1)))

    (issued,) = await stocked.hears(issue(rounds=40), by=AT_COUNTER)
    assert isinstance(issued, WeaponIssued)
    assert issued.handed_to == ANNA
    assert await in_stock(stocked) == 60

    (returned,) = await stocked.hears(take_back(rounds=15), by=AT_COUNTER)
    assert isinstance(returned, WeaponReturned)
    assert returned.rounds_fired == 25
    assert await in_stock(stocked) == 75
    assert await stocked.hears(finished(1)) == (ReservationReleased(booking=booking(1), weapon_type="air-rifle"),)


async def test_a_weapon_is_issued_only_where_all_is_in_order(stocked: Hearing) -> None:
    with pytest.raises(NothingReserved):
        await stocked.hears(issue(), by=AT_COUNTER)
    await reserved(stocked, 1)
    with pytest.raises(NotCheckedIn):
        await stocked.hears(issue(), by=AT_COUNTER)
    await stocked.hears(checked_in(terms(1)))
    with pytest.raises(WeaponOfAnotherType):
        await stocked.hears(issue(unit=3), by=AT_COUNTER)
    with pytest.raises(AmmunitionShort):
        await stocked.hears(issue(rounds=101), by=AT_COUNTER)
    with pytest.raises(HandedToOneself):
        await stocked.hears(issue(), by=f"person:{ANNA}")
    await stocked.hears(issue(), by=AT_COUNTER)
    with pytest.raises(BookingHoldsWeapon):
        await stocked.hears(issue(unit=2), by=AT_COUNTER)
    await reserved(stocked, 2, person=BORIS)
    await stocked.hears(checked_in(terms(2, person=BORIS)))
    with pytest.raises(WeaponOut):
        await stocked.hears(issue(2, unit=1), by=AT_COUNTER)


async def test_a_weapon_that_goes_out_early_is_taken_from_then_on(stocked: Hearing) -> None:
    early = NOON - HOUR
    await reserved(stocked, 1)
    await reserved(stocked, 2)
    for number in (1, 2):
        await stocked.hears(checked_in(terms(number), at=early))
    await stocked.hears(issue(1), by=AT_COUNTER, at=early)
    await reserved(stocked, 3, starts_at=early)
    (refused,) = await stocked.hears(validated(terms(4, starts_at=early)), at=early)
    assert isinstance(refused, WeaponRefused)
    with pytest.raises(PromisedToOthers):
        await stocked.hears(issue(2, unit=2, rounds=0), by=AT_COUNTER, at=early)
    await stocked.hears(cancelled(3))
    await stocked.hears(issue(2, unit=2, rounds=0), by=AT_COUNTER, at=early)


async def test_a_weapon_that_is_late_is_taken_until_it_is_back(stocked: Hearing) -> None:
    await reserved(stocked, 1)
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(issue(1), by=AT_COUNTER)
    late, next_week = NOON + 2 * HOUR, NOON + 168 * HOUR
    await reserved(stocked, 2, starts_at=next_week)
    (refused,) = await stocked.hears(validated(terms(3, starts_at=next_week)), at=late)
    assert isinstance(refused, WeaponRefused)
    await stocked.hears(take_back(1), by=AT_COUNTER, at=late)
    assert isinstance((await stocked.hears(validated(terms(4, starts_at=next_week)), at=late))[0], WeaponReserved)


async def test_check_in_may_be_heard_before_the_licence(stocked: Hearing) -> None:
    await stocked.hears(checked_in(terms(1)))
    await reserved(stocked, 1)
    await stocked.hears(issue(), by=AT_COUNTER)


ENTER = """
INSERT INTO handover (weapon, entry, kind, booking, from_person, to_person, rounds, at, hash)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, sha256(''))
"""


@pytest.mark.parametrize(
    ("entry", "kind", "error"),
    [
        (1, "return", asyncpg.CheckViolationError),  # the first handover is an issue
        (2, "issue", asyncpg.CheckViolationError),  # issues and returns alternate
        (2, "return", asyncpg.ForeignKeyViolationError),  # no entry is left out
    ],
)
async def test_the_custody_book_itself_refuses_what_breaks_the_chain(
    stocked: Hearing, entry: int, kind: str, error: type[Exception]
) -> None:
    await reserved(stocked, 1)
    with pytest.raises(error):
        await stocked.connection.execute(ENTER, weapon(1), entry, kind, booking(1), ANNA, BORIS, NOON)


async def test_the_custody_book_is_only_ever_added_to(stocked: Hearing) -> None:
    for statement in ("UPDATE handover SET rounds = 0", "DELETE FROM handover", "TRUNCATE handover"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stocked.connection.execute(statement)


async def test_a_weapon_has_one_holder_and_a_booking_one_weapon_by_constraint(stocked: Hearing) -> None:
    await reserved(stocked, 1)
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(issue(), by=AT_COUNTER)
    again = """
        INSERT INTO loan (weapon, entry, booking, holder, issued_by, issued_at, rounds_issued)
        SELECT $1, entry + 1, $2, holder, issued_by, issued_at, 0 FROM loan
        """
    await reserved(stocked, 2)
    with pytest.raises(asyncpg.UniqueViolationError, match="loan_one_holder"):
        await stocked.connection.execute(again, weapon(1), booking(2))
    with pytest.raises(asyncpg.UniqueViolationError, match="loan_one_weapon"):
        await stocked.connection.execute(again, weapon(2), booking(1))


async def test_stock_is_never_less_than_nothing_by_constraint(stocked: Hearing) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await stocked.connection.execute("UPDATE lot SET rounds = rounds - 101")


RESERVE = """
INSERT INTO reservation (booking, person, range, weapon_type, during, released)
VALUES ($1, $1, 'club', 'air-rifle', $2::text::tstzrange, false)
"""


@pytest.mark.parametrize("during", ["empty", "(,)", "[2026-06-01,)", "(2026-06-01,2026-06-02]"])
async def test_a_reservation_has_a_beginning_and_an_end(stocked: Hearing, during: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await stocked.connection.execute(RESERVE, booking(1), during)


ELSEWHERE = {
    "stock_audit",
    "audit_finding",
    "incident",
    "service",
    "day_closing",
    "known_lane",
    "known_score",
    "known_hours",
    "reckoning",
    "explanation",
}  # have their own tests


async def test_the_same_events_give_the_same_rows(stocked: Hearing, database: Database) -> None:
    await reserved(stocked, 1)
    await stocked.hears(checked_in(terms(1)))
    for rounds in (40, 20):
        await stocked.hears(issue(rounds=rounds), by=AT_COUNTER)
        await stocked.hears(take_back(rounds=rounds // 2), by=AT_COUNTER)
    await stocked.hears(finished(1))
    await reserved(stocked, 2)
    await stocked.hears(not_come(2))
    await stocked.hears(rejected(3))
    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    assert all(had for table, had in live.items() if table not in ELSEWHERE)

    await empty(superuser, "armory")
    assert not any((await rows(superuser, "armory")).values())
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
