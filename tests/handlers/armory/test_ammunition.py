"""Cartridges by lot, and whether a booking's add up to the shots that were counted."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from bus.errors import Rejected
from handlers.armory.commands import (
    CloseDay,
    CorrectHandover,
    ExplainDifference,
    IssueWeapon,
    RecallLot,
    ReinstateLot,
    ReturnWeapon,
    ServiceWeapon,
    SetServiceInterval,
    StockAmmunition,
    WriteOffAmmunition,
)
from handlers.armory.events import (
    UNNUMBERED,
    AmmunitionReckoned,
    AmmunitionStocked,
    AmmunitionWrittenOff,
    DifferenceExplained,
    Explanation,
    LotRecalled,
    LotReinstated,
    WeaponIssued,
    WeaponReturned,
    WeaponTypeStocked,
)
from handlers.armory.model.ammunition import (
    AmmunitionShort,
    LotExpired,
    LotExpiresOtherwise,
    LotUnderRecall,
    LotUnknown,
    NotRecalled,
    Stocked,
    lot_for,
    recall_lot,
    reinstate_lot,
    stock_ammunition,
    write_off_ammunition,
)
from handlers.armory.model.closing import CartridgesUnexplained
from handlers.armory.model.custody import MoreReturnedThanIssued
from handlers.armory.model.people import HandedToOneself
from handlers.armory.model.reckoning import (
    Account,
    ExplainsOtherwise,
    NothingToExplain,
    explain_difference,
    reckon,
)
from handlers.armory.views import ammunition as ammunition_views
from handlers.armory.views import weapons as weapons_views
from handlers.booking.events import LaneOpened
from handlers.stats.events import Group, SessionScored
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    BORIS,
    CARLA,
    HOUR,
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

FRESH, OLD = NOON + 48 * HOUR, NOON - HOUR
LOTS = [
    Stocked("A", 30, expires_at=FRESH + HOUR),
    Stocked("B", 50, expires_at=FRESH),
    Stocked("C", 90),
    Stocked("D", 200, expires_at=OLD),
    Stocked("E", 200, recalled="pressure"),
]
ACCOUNT = Account(
    booking=booking(1),
    holder=ANNA,
    out=False,
    scored=True,
    counted=25,
    issued=40,
    returned=15,
    misfired=0,
    claimed=25,
    explained={},
    told=None,
    adjusted=0,
    weapon_id=weapon(1),
    weapon=replace(RIFLE, rounds_fired=900, rounds_since_service=480, service_after_rounds=500),
)


@pytest.mark.parametrize(("rounds", "lot"), [(0, None), (20, "B"), (30, "B"), (51, "C"), (90, "C")])
def test_cartridges_come_from_the_lot_that_expires_first_and_has_enough(rounds: int, lot: str | None) -> None:
    assert lot_for(LOTS, ".22 LR", None, rounds, NOON) == lot


@pytest.mark.parametrize(
    ("lot", "rounds", "rule", "facts"),
    [
        (None, 91, AmmunitionShort, {"asked": 91, "in_stock": 90}),
        ("A", 31, AmmunitionShort, {"asked": 31, "in_stock": 30}),
        ("D", 1, LotExpired, {"lot": "D"}),
        ("E", 1, LotUnderRecall, {"lot": "E", "reason": "pressure"}),
        ("F", 1, LotUnknown, {"lot": "F"}),
    ],
)
def test_a_lot_that_is_short_expired_recalled_or_unknown_is_not_issued(
    lot: str | None, rounds: int, rule: type[Rejected], facts: dict[str, object]
) -> None:
    with pytest.raises(rule) as refused:
        lot_for(LOTS, ".22 LR", lot, rounds, NOON)
    assert facts.items() <= refused.value.facts.items()


@pytest.mark.parametrize(("at", "fits"), [(FRESH - HOUR, True), (FRESH, False)])
def test_a_lot_is_issued_up_to_its_expiry(at: datetime, *, fits: bool) -> None:
    if fits:
        assert lot_for(LOTS, ".22 LR", "B", 1, at) == "B"
    else:
        with pytest.raises(LotExpired):
            lot_for(LOTS, ".22 LR", "B", 1, at)


def test_a_lot_comes_into_stock_is_written_off_recalled_and_reinstated() -> None:
    known = [Stocked("A", 30, FRESH)]
    asked = StockAmmunition(calibre=".22 LR", rounds=50, lot="A", expires_at=FRESH)
    told = AmmunitionStocked(calibre=".22 LR", rounds=50, lot="A", expires_at=FRESH)
    given([]).when(stock_ammunition, asked).then(told)
    given(known).when(stock_ammunition, asked).then(told)
    given([Stocked("A", 0)]).when(stock_ammunition, asked).then_refused(LotExpiresOtherwise)

    off = WriteOffAmmunition(calibre=".22 LR", lot="A", rounds=30, reason="damaged")
    given(known, actor=AT_COUNTER).when(write_off_ammunition, off).then(
        AmmunitionWrittenOff(**off.model_dump(), written_off_by=CARLA, written_off_at=NOON)
    )
    more = off.model_copy(update={"rounds": 31})
    given(known, actor=AT_COUNTER).when(write_off_ammunition, more).then_refused(AmmunitionShort, in_stock=30)

    recall, again = RecallLot(calibre=".22 LR", lot="A", reason="maker"), ReinstateLot(calibre=".22 LR", lot="A")
    recalled = [replace(known[0], recalled="maker")]
    given(known, actor=AT_COUNTER).when(recall_lot, recall).then(
        LotRecalled(**recall.model_dump(), recalled_by=CARLA, recalled_at=NOON)
    )
    given(recalled, actor=AT_COUNTER).when(recall_lot, recall).then_refused(LotUnderRecall)
    given([], actor=AT_COUNTER).when(recall_lot, recall).then_refused(LotUnknown)
    given(recalled, actor=AT_COUNTER).when(reinstate_lot, again).then(
        LotReinstated(**again.model_dump(), reinstated_by=CARLA, reinstated_at=NOON)
    )
    given(known, actor=AT_COUNTER).when(reinstate_lot, again).then_refused(NotRecalled)


def reckoned(**about: int | None) -> AmmunitionReckoned:
    usual = {"counted": 25, "issued": 40, "fired": 25, "returned": 15, "written_off": 0, "unexplained": 0}
    return AmmunitionReckoned(booking=booking(1), weapon=weapon(1), **{"weapon_rounds": 0, **usual, **about})  # type: ignore[arg-type]


def test_what_adds_up_is_told_once() -> None:
    given(ACCOUNT).when(reckon, None).then(reckoned())
    given(replace(ACCOUNT, told=ACCOUNT.balance)).when(reckon, None).then()


@pytest.mark.parametrize("account", [replace(ACCOUNT, out=True), replace(ACCOUNT, scored=False), None])
def test_nothing_is_reckoned_before_all_is_back_and_counted(account: Account | None) -> None:
    given(account).when(reckon, None).then()


def test_fired_is_what_was_counted_and_the_rest_is_unexplained() -> None:
    given(replace(ACCOUNT, counted=22)).when(reckon, None).then(
        reckoned(counted=22, fired=22, unexplained=3, weapon_rounds=-3)
    )
    given(replace(ACCOUNT, counted=27)).when(reckon, None).then(
        reckoned(counted=27, fired=27, unexplained=-2, weapon_rounds=2)
    )
    given(replace(ACCOUNT, counted=None)).when(reckon, None).then(reckoned(counted=None))


def test_shots_that_were_not_said_to_be_fired_make_a_service_due() -> None:
    worn = replace(ACCOUNT, counted=45)
    given(worn).when(reckon, None).then(
        reckoned(counted=45, fired=45, unexplained=-20, weapon_rounds=20),
        WeaponTypeStocked(weapon_type="air-rifle", weapon_class="air", title="Air rifle", units=1),
    )


@pytest.mark.parametrize(
    ("counted", "reason", "rounds", "come_to"),
    [
        (22, "not-counted", 3, {"counted": 22, "fired": 25, "weapon_rounds": 0}),
        (22, "lost", 3, {"counted": 22, "fired": 22, "written_off": 3, "weapon_rounds": -3}),
        (22, "misfired", 2, {"counted": 22, "fired": 22, "written_off": 2, "unexplained": 1, "weapon_rounds": -3}),
        (27, "not-issued", 2, {"counted": 27, "fired": 25, "weapon_rounds": 0}),
    ],
)
def test_a_difference_is_explained_by_a_reason(
    counted: int, reason: Explanation, rounds: int, come_to: dict[str, int | None]
) -> None:
    account = replace(ACCOUNT, counted=counted)
    account = replace(account, told=account.balance)
    asked = ExplainDifference(booking=booking(1), reason=reason, rounds=rounds)
    given(account, actor=AT_COUNTER).when(explain_difference, asked).then(
        DifferenceExplained(**asked.model_dump(), explained_by=CARLA, explained_at=NOON), reckoned(**come_to)
    )


@pytest.mark.parametrize(
    ("counted", "reason", "rounds", "actor", "rule"),
    [
        (22, "lost", 4, AT_COUNTER, ExplainsOtherwise),
        (22, "not-issued", 3, AT_COUNTER, ExplainsOtherwise),
        (27, "lost", 2, AT_COUNTER, ExplainsOtherwise),
        (25, "lost", 1, AT_COUNTER, NothingToExplain),
        (22, "lost", 1, f"person:{ANNA}", HandedToOneself),
    ],
)
def test_a_difference_is_not_explained_away(
    counted: int, reason: Explanation, rounds: int, actor: str, rule: type[Rejected]
) -> None:
    account = replace(ACCOUNT, counted=counted)
    asked = ExplainDifference(booking=booking(1), reason=reason, rounds=rounds)
    given(replace(account, told=account.balance), actor=actor).when(explain_difference, asked).then_refused(rule)
    given(None, actor=actor).when(explain_difference, asked).then_refused(NothingToExplain)


reasons = st.sampled_from(["misfired", "damaged", "lost", "destroyed", "not-counted", "not-issued"])


@drawn(
    counts=st.lists(st.integers(0, 60) | st.none(), min_size=1, max_size=4),
    issued=st.integers(0, 60),
    back=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    said=st.lists(st.tuples(reasons, st.integers(1, 30)), max_size=6),
    worn=st.integers(0, 40),
)
def test_whatever_is_counted_and_explained_it_adds_up_and_the_weapon_keeps_to_it(
    counts: list[int | None], issued: int, back: tuple[int, int], said: list[tuple[Explanation, int]], worn: int
) -> None:
    """Invariant 7: also where the target tells its count again, and whatever is tried as an explanation."""
    returned = min(back[0], issued)
    misfired = min(back[1], issued - returned)
    claimed = issued - returned - misfired
    account = replace(
        ACCOUNT,
        issued=issued,
        returned=returned,
        misfired=misfired,
        claimed=claimed,
        weapon=replace(RIFLE, rounds_fired=worn + claimed),
    )
    for counted in counts:
        account = _after(replace(account, counted=counted), reckon, None)
        for reason, rounds in said:
            asked = ExplainDifference(booking=booking(1), reason=reason, rounds=rounds)
            account = _after(account, explain_difference, asked)
            balance = account.balance
            assert account.told == balance
            assert balance.issued == balance.fired + balance.returned + balance.written_off + balance.unexplained
            assert min(balance.fired, balance.returned, balance.written_off) >= 0
            assert account.weapon.rounds_fired == worn + balance.fired


def _after(account: Account, decide: object, message: object) -> Account:
    """The account after what was decided, as the tables would have it."""
    decided = given(account, actor=AT_COUNTER).when(decide, message)  # type: ignore[arg-type]
    explained = dict(account.explained)
    for event in decided.effects:
        if isinstance(event, DifferenceExplained):
            explained[event.reason] = explained.get(event.reason, 0) + event.rounds
            account = replace(account, explained=explained)
        if isinstance(event, AmmunitionReckoned):
            rounds = account.weapon.rounds_fired + event.weapon_rounds
            account = replace(
                account,
                told=account.balance,
                adjusted=account.adjusted + event.weapon_rounds,
                weapon=replace(account.weapon, rounds_fired=rounds),
            )
    return account


# With tables


def lane(*, target: bool) -> LaneOpened:
    return LaneOpened(
        range="club",
        lane="lane-1",
        distance_m=10,
        discipline="air-rifle-10m",
        weapon_classes=("air",),
        target_address="freetarget://127.0.0.1:1090" if target else None,
    )


def scored(number: int, hits: int, sighters: int = 0, misses: int = 0) -> SessionScored:
    group = Group(
        shots=hits,
        score_tenths=0,
        integer_score=0,
        inner_tens=0,
        mean_score=None,
        centre_x_um=None,
        centre_y_um=None,
        mean_radius_um=None,
        extreme_spread_um=None,
    )
    return SessionScored(
        session=booking(number),
        person=ANNA,
        lane="lane-1",
        discipline="air-rifle-10m",
        group=group,
        sighters=sighters,
        misses=misses,
        started_at=NOON,
        finished_at=NOON + HOUR,
        scored_at=NOON + HOUR,
    )


async def shoot(armory: Hearing, number: int, unit: int, rounds: int, back: int, person: UUID = ANNA) -> None:
    about = terms(number, person=person)
    await armory.hears(validated(about))
    await armory.hears(checked_in(about))
    await armory.hears(issue(number, unit, rounds), by=AT_COUNTER)
    (returned, *_) = await armory.hears(take_back(number, unit, back), by=AT_COUNTER)
    assert await armory.hears(returned) == (), "nothing is counted yet"
    await armory.hears(finished(number))


async def counts(armory: Hearing, unit: int = 1) -> tuple[int, int]:
    row = await armory.connection.fetchrow(
        "SELECT rounds_fired, rounds_since_service FROM weapon WHERE weapon = $1", weapon(unit)
    )
    assert row is not None
    return row["rounds_fired"], row["rounds_since_service"]


async def test_the_weapon_counts_the_shots_that_the_target_counted(stocked: Hearing) -> None:
    await stocked.hears(lane(target=True))
    await shoot(stocked, 1, 1, 40, 10)
    assert await counts(stocked) == (30, 30)
    (said,) = await stocked.hears(scored(1, hits=20, sighters=5, misses=2))
    assert isinstance(said, AmmunitionReckoned)
    assert (said.counted, said.fired, said.unexplained, said.weapon_rounds) == (27, 27, 3, -3)
    assert await counts(stocked) == (27, 27)
    with pytest.raises(CartridgesUnexplained, match=str(booking(1))):
        await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)
    asked = ExplainDifference(booking=booking(1), reason="not-counted", rounds=3)
    await stocked.hears(asked, by=AT_COUNTER)
    assert await counts(stocked) == (30, 30)
    await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)


async def test_a_later_count_replaces_the_one_before(stocked: Hearing) -> None:
    await stocked.hears(lane(target=True))
    await shoot(stocked, 1, 1, 40, 10)
    await stocked.hears(scored(1, hits=20))
    await stocked.hears(ServiceWeapon(weapon=weapon(1), work="cleaned"), by=AT_COUNTER)
    (said,) = await stocked.hears(scored(1, hits=30))
    assert isinstance(said, AmmunitionReckoned)
    assert (said.unexplained, said.weapon_rounds) == (0, 10)
    assert await stocked.hears(scored(1, hits=30)) == ()
    assert await counts(stocked) == (30, 10)


@pytest.mark.parametrize(("target", "unexplained"), [(True, 30), (False, 0)])
async def test_where_nothing_counts_shots_the_counter_is_believed(
    stocked: Hearing, unexplained: int, *, target: bool
) -> None:
    await stocked.hears(lane(target=target))
    await shoot(stocked, 1, 1, 40, 10)
    (said,) = await stocked.hears(scored(1, hits=0))
    assert isinstance(said, AmmunitionReckoned)
    assert said.unexplained == unexplained
    assert await counts(stocked) == ((0, 0) if target else (30, 30))


async def test_a_return_that_is_corrected_is_reckoned_again(stocked: Hearing) -> None:
    await stocked.hears(lane(target=True))
    await shoot(stocked, 1, 1, 40, 10)
    (said,) = await stocked.hears(scored(1, hits=28))
    assert isinstance(said, AmmunitionReckoned)
    assert said.unexplained == 2
    (taken_back,) = await stocked.hears(
        CorrectHandover(weapon=weapon(1), entry=2, reason="wrong-rounds"), by=AT_COUNTER
    )
    assert await stocked.hears(taken_back) == (), "the weapon is out again"
    again = ReturnWeapon(booking=booking(1), weapon=weapon(1), rounds_returned=10, rounds_misfired=2)
    (returned,) = await stocked.hears(again, by=AT_COUNTER)
    assert isinstance(returned, WeaponReturned)
    assert (returned.rounds_fired, returned.rounds_misfired) == (28, 2)
    (said,) = await stocked.hears(returned)
    assert isinstance(said, AmmunitionReckoned)
    assert (said.fired, said.written_off, said.unexplained) == (28, 2, 0)
    assert await counts(stocked) == (28, 28)


async def test_cartridges_that_would_not_fire_were_not_fired_and_are_not_back_in_stock(stocked: Hearing) -> None:
    about = terms(1)
    await stocked.hears(validated(about))
    await stocked.hears(checked_in(about))
    await stocked.hears(issue(1, 1, 40), by=AT_COUNTER)
    too_many = ReturnWeapon(booking=booking(1), weapon=weapon(1), rounds_returned=30, rounds_misfired=11)
    with pytest.raises(MoreReturnedThanIssued):
        await stocked.hears(too_many, by=AT_COUNTER)
    await stocked.hears(too_many.model_copy(update={"rounds_misfired": 10}), by=AT_COUNTER)
    assert await stocked.connection.fetchval("SELECT sum(rounds) FROM lot") == 90
    assert await counts(stocked) == (0, 0)


async def test_a_lot_is_followed_to_whoever_had_of_it(stocked: Hearing, database: Database) -> None:
    await stocked.hears(StockAmmunition(calibre="4.5 mm", rounds=50, lot="L-7", expires_at=FRESH))
    for number, person in ((1, ANNA), (2, BORIS)):
        await shoot(stocked, number, number, 20, 5, person)
    lots = {one.lot: one.rounds for one in stocked.log if isinstance(one, WeaponIssued)}
    assert lots == {"L-7": 20}
    await stocked.hears(RecallLot(calibre="4.5 mm", lot="L-7", reason="misfires"), by=AT_COUNTER)
    about = terms(3)
    await stocked.hears(validated(about))
    await stocked.hears(checked_in(about))
    with pytest.raises(LotUnderRecall):
        await stocked.hears(IssueWeapon(booking=booking(3), weapon=weapon(1), rounds=1, lot="L-7"), by=AT_COUNTER)
    (issued,) = await stocked.hears(issue(3, 1, 1), by=AT_COUNTER)
    assert isinstance(issued, WeaponIssued)
    assert issued.lot == UNNUMBERED

    gateway = await database.connect("gateway")
    had = await ammunition_views.issued_lots(gateway, "4.5 mm", "L-7", most=9)
    assert {(one.holder, one.rounds_fired) for one in had} == {(ANNA, 15), (BORIS, 15)}
    stock = {one.lot: (one.rounds, one.issuable) for one in await ammunition_views.ammunition(gateway)}
    assert stock == {"L-7": (20, False), UNNUMBERED: (99, True)}
    rifle = next(one for one in await weapons_views.weapon_types(gateway) if one.weapon_type == "air-rifle")
    assert rifle.rounds_in_stock == 99
    await gateway.close()


async def test_a_bookings_cartridges_are_shown_to_its_shooter_and_to_staff(
    stocked: Hearing, database: Database
) -> None:
    gateway = await database.connect("gateway")
    await stocked.hears(lane(target=True))
    await shoot(stocked, 1, 1, 40, 10)
    shown = await ammunition_views.cartridges(gateway, booking(1), viewer=ANNA, staff=False)
    assert shown is not None
    assert (shown.state, shown.fired, shown.unexplained) == ("uncounted", 30, 0)
    await stocked.hears(scored(1, hits=27))
    (short,) = await ammunition_views.differences(gateway, most=9)
    assert (short.booking, short.state, short.unexplained) == (booking(1), "unexplained", 3)
    await stocked.hears(ExplainDifference(booking=booking(1), reason="lost", rounds=3), by=AT_COUNTER)
    assert await ammunition_views.differences(gateway, most=9) == []
    shown = await ammunition_views.cartridges(gateway, booking(1), viewer=CARLA, staff=True)
    assert shown is not None
    assert (shown.state, shown.issued, shown.fired, shown.returned, shown.written_off) == ("closed", 40, 27, 10, 3)
    assert [(one.reason, one.rounds, one.explained_by) for one in shown.explanations] == [("lost", 3, CARLA)]
    assert await ammunition_views.cartridges(gateway, booking(1), viewer=BORIS, staff=False) is None
    await gateway.close()


async def test_the_tables_themselves_refuse_what_does_not_add_up(stocked: Hearing) -> None:
    await stocked.hears(lane(target=True))
    await shoot(stocked, 1, 1, 40, 10)
    await stocked.hears(scored(1, hits=27))
    for statement, constraint in (
        ("UPDATE lot SET rounds = -1", "lot_rounds_check"),
        ("UPDATE loan SET rounds_fired = 31", "loan_balanced"),
        ("UPDATE loan SET rounds_written_off = NULL", "loan_whole"),
        ("UPDATE reckoning SET unexplained = 0", "reckoning_balanced"),
    ):
        with pytest.raises(asyncpg.CheckViolationError, match=constraint):
            await stocked.connection.execute(statement)
    for statement in ("UPDATE explanation SET rounds = 1", "DELETE FROM explanation"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stocked.connection.execute(statement)


async def test_the_same_events_reckon_the_same(stocked: Hearing, database: Database) -> None:
    await stocked.hears(lane(target=True))
    await stocked.hears(StockAmmunition(calibre="4.5 mm", rounds=50, lot="L-7"))
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=30), by=AT_COUNTER)
    await shoot(stocked, 1, 1, 40, 12)
    await stocked.hears(scored(1, hits=33))
    await stocked.hears(ExplainDifference(booking=booking(1), reason="not-issued", rounds=5), by=AT_COUNTER)
    await stocked.hears(WriteOffAmmunition(calibre="4.5 mm", lot="L-7", rounds=7, reason="lost"), by=AT_COUNTER)
    await stocked.hears(RecallLot(calibre="4.5 mm", lot="L-7", reason="maker"), by=AT_COUNTER)
    await stocked.hears(ReinstateLot(calibre="4.5 mm", lot="L-7"), by=AT_COUNTER)
    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
