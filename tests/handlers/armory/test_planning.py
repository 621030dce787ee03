"""Services due by time, planned into free time, and what is written down of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bus.errors import Rejected
from bus.service import Schedule
from handlers.armory.commands import (
    AddWeapon,
    CancelServicePlan,
    FindServiceDue,
    PlanService,
    PlanServiceAhead,
    QuarantineWeapon,
    ReleaseWeapon,
    ServiceWeapon,
    SetServiceInterval,
)
from handlers.armory.events import (
    Away,
    ServiceFellDue,
    ServicePlanCancelled,
    ServicePlanned,
    WeaponAdded,
    WeaponIssued,
    WeaponRefused,
    WeaponReserved,
    WeaponTypeStocked,
)
from handlers.armory.model.custody import PlannedForService
from handlers.armory.model.fitness import Bench, ServiceOverdue, Weapon, find_service_due, service_weapon
from handlers.armory.model.planning import (
    Calendar,
    Hours,
    NothingPlanned,
    NoUnitToSpare,
    PlannedAlready,
    PlannedInThePast,
    cancel_service_plan,
    open_times,
    plan_service,
    plan_service_ahead,
)
from handlers.armory.model.register import Register, add_weapon
from handlers.armory.model.reservations import Taken
from handlers.armory.model.times import Span
from handlers.armory.views import services as services_views
from handlers.armory.views import weapons as weapons_views
from handlers.booking.events import OpeningHours, RangeSetUp
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import (
    AT_COUNTER,
    CARLA,
    DURING,
    HOUR,
    RIFLE,
    booking,
    checked_in,
    issue,
    take_back,
    terms,
    validated,
    weapon,
)
from tests.handlers.scenario import NOON, given

DAY = timedelta(days=1)
PLAN = PlanService(weapon=weapon(1), work="cleaned", starts_at=NOON + HOUR)
AHEAD = PlanServiceAhead(weapon=weapon(1))
FIND = FindServiceDue(weapon=weapon(1))
YEARLY = replace(RIFLE, kind=replace(RIFLE.kind, service_after_days=365))
WORN = replace(RIFLE, rounds_since_service=400, service_after_rounds=500)
OPEN = [Hours("Europe/Berlin", day, 18 * 60, 20 * 60) for day in (2, 4)]  # Tuesday and Thursday


def calendar(weapon_: Weapon = RIFLE, *kept: Span, hours: list[Hours] | None = None) -> Calendar:
    return Calendar(Bench(weapon_, out=False), Taken(kept=kept), hours or [])


def planned(starts_at: datetime, *, by: object = CARLA, work: str = "cleaned") -> ServicePlanned:
    return ServicePlanned(
        weapon=weapon(1),
        work=work,  # type: ignore[arg-type]
        starts_at=starts_at,
        ends_at=starts_at + HOUR,
        planned_by=by,  # type: ignore[arg-type]
    )


def stocked_with(units: int, *away: datetime) -> WeaponTypeStocked:
    return WeaponTypeStocked(
        weapon_type="air-rifle",
        weapon_class="air",
        title="Air rifle",
        units=units,
        away=tuple(Away(starts_at=one, ends_at=one + HOUR) for one in away),
    )


def test_a_service_is_planned_and_a_fit_unit_is_away_meanwhile() -> None:
    given(calendar(), actor=AT_COUNTER).when(plan_service, PLAN).then(
        planned(NOON + HOUR), stocked_with(2, NOON + HOUR)
    )
    given(calendar(replace(RIFLE, quarantine="damaged")), actor=AT_COUNTER).when(plan_service, PLAN).then(
        planned(NOON + HOUR)
    )


BUSY = Span(NOON, NOON + 3 * HOUR)
PLANNED = replace(
    RIFLE,
    planned=Span(NOON + HOUR, NOON + 2 * HOUR),
    kind=replace(RIFLE.kind, away=(Span(NOON + HOUR, NOON + 2 * HOUR),)),
)


@pytest.mark.parametrize(
    ("state", "asked", "rule"),
    [
        (calendar(PLANNED), PLAN, PlannedAlready),
        (calendar(), PLAN.model_copy(update={"starts_at": NOON - HOUR}), PlannedInThePast),
        (calendar(RIFLE, BUSY, BUSY), PLAN, NoUnitToSpare),
        (calendar(replace(RIFLE, quarantine="damaged"), BUSY, BUSY, BUSY), PLAN, NoUnitToSpare),
        (calendar(RIFLE, *[Span(NOON, NOON + 90 * DAY)] * 2), PlanService(weapon=weapon(1)), NoUnitToSpare),
    ],
)
def test_a_service_takes_nothing_from_those_who_were_promised_a_unit(
    state: Calendar, asked: PlanService, rule: type[Rejected]
) -> None:
    given(state, actor=AT_COUNTER).when(plan_service, asked).then_refused(rule)


def test_one_unit_that_is_left_can_be_serviced() -> None:
    for weapon_, kept in ((RIFLE, [BUSY]), (replace(RIFLE, quarantine="damaged"), [BUSY, BUSY])):
        decided = given(calendar(weapon_, *kept), actor=AT_COUNTER).when(plan_service, PLAN)
        assert decided.refusal is None


def test_a_plan_is_given_up_and_the_unit_is_there_again() -> None:
    asked = CancelServicePlan(weapon=weapon(1))
    given(Bench(PLANNED, out=False), actor=AT_COUNTER).when(cancel_service_plan, asked).then(
        ServicePlanCancelled(weapon=weapon(1), cancelled_by=CARLA), stocked_with(2)
    )
    given(Bench(RIFLE, out=False), actor=AT_COUNTER).when(cancel_service_plan, asked).then_refused(NothingPlanned)


def test_with_no_time_named_it_is_the_first_free_one_while_a_range_is_open() -> None:
    anywhen = PlanService(weapon=weapon(1), work="cleaned")
    given(calendar(RIFLE, BUSY, BUSY), actor=AT_COUNTER).when(plan_service, anywhen).then(
        planned(NOON + 3 * HOUR), stocked_with(2, NOON + 3 * HOUR)
    )
    tuesday = datetime(2026, 6, 2, 16, tzinfo=UTC)  # at 18 in Berlin; noon is of a Monday
    given(calendar(hours=OPEN), actor=AT_COUNTER).when(plan_service, anywhen).then(
        planned(tuesday), stocked_with(2, tuesday)
    )
    all_evening = [Span(tuesday, tuesday + 2 * HOUR)] * 2
    given(calendar(RIFLE, *all_evening, hours=OPEN), actor=AT_COUNTER).when(plan_service, anywhen).then(
        planned(tuesday + 2 * DAY), stocked_with(2, tuesday + 2 * DAY)
    )


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (6, 7, 24)])
def test_hours_are_those_of_the_ranges_clocks(month: int, day: int, hours: int) -> None:
    midnight = datetime(2026, month, day, tzinfo=UTC) - 12 * HOUR
    all_day = [Hours("Europe/Berlin", 7, 0, 1440)]
    (found,) = open_times(all_day, Span(midnight, midnight + 2 * DAY))
    assert found.ends_at - found.starts_at == hours * HOUR


@pytest.mark.parametrize("soon", [WORN, replace(RIFLE, service_due_at=NOON + 14 * DAY)], ids=["worn", "in two weeks"])
def test_a_weapon_that_will_soon_be_due_gets_its_time(soon: Weapon) -> None:
    given(calendar(soon)).when(plan_service_ahead, AHEAD).then(
        planned(NOON + HOUR, by=None, work="inspected"), stocked_with(2, NOON + HOUR)
    )
    full = [Span(NOON, NOON + 90 * DAY)] * 2
    given(calendar(soon, *full)).when(plan_service_ahead, AHEAD).then(
        Schedule(f"service-ahead:{weapon(1)}", NOON + DAY, AHEAD)
    )


@pytest.mark.parametrize(
    "weapon_",
    [
        RIFLE,
        replace(WORN, quarantine="damaged"),
        replace(WORN, rounds_since_service=500),
        replace(PLANNED, rounds_since_service=400, service_after_rounds=500),
        replace(RIFLE, service_due_at=NOON + 15 * DAY),
        None,
    ],
)
def test_one_that_is_not_soon_due_is_unfit_or_planned_gets_none(weapon_: Weapon | None) -> None:
    given(Calendar(Bench(weapon_, out=False), Taken())).when(plan_service_ahead, AHEAD).then()


def test_a_service_is_due_so_many_days_after_the_last_or_after_the_weapon_came() -> None:
    due_at = NOON + 365 * DAY
    timers = (
        Schedule(f"service-due:{weapon(1)}", due_at, FIND),
        Schedule(f"service-ahead:{weapon(1)}", due_at - 14 * DAY, AHEAD),
    )
    asked = ServiceWeapon(weapon=weapon(1), work="cleaned")
    decided = given(Bench(replace(YEARLY, overdue=True), out=False), actor=AT_COUNTER).when(service_weapon, asked)
    assert decided.effects[0].next_due_at == due_at  # type: ignore[union-attr]
    assert decided.effects[1:] == (stocked_with(3), *timers)
    new = Register(YEARLY.kind, weapon_known=False, serial_known=False)
    added = given(new).when(add_weapon, AddWeapon(weapon=weapon(1), weapon_type="air-rifle", serial="1"))
    assert isinstance(added.effects[0], WeaponAdded)
    assert added.effects[0].service_due_at == due_at
    assert added.effects[-2:] == timers


def test_a_weapon_whose_time_is_over_is_not_fit() -> None:
    late = replace(YEARLY, service_due_at=NOON)
    given(Bench(late, out=True)).when(find_service_due, FIND).then(
        ServiceFellDue(weapon=weapon(1), due_at=NOON), stocked_with(1)
    )
    for done in (replace(late, overdue=True), RIFLE):
        given(Bench(done, out=False)).when(find_service_due, FIND).then()
    moved = given(Bench(replace(late, service_due_at=NOON + DAY), out=False)).when(find_service_due, FIND)
    assert {type(one) for one in moved.effects} == {Schedule}


# With tables


async def stock_told(armory: Hearing) -> tuple[int, list[tuple[datetime, datetime]]]:
    told = [one for one in armory.log if isinstance(one, WeaponTypeStocked) and one.weapon_type == "air-rifle"][-1]
    return told.units, [(one.starts_at, one.ends_at) for one in told.away]


async def test_what_is_planned_is_promised_to_nobody_else(stocked: Hearing) -> None:
    await stocked.hears(PLAN.model_copy(update={"starts_at": NOON}), by=AT_COUNTER)
    assert await stock_told(stocked) == (2, [(NOON, NOON + HOUR)])
    (first,) = await stocked.hears(validated(terms(1)))
    assert isinstance(first, WeaponReserved)
    (second,) = await stocked.hears(validated(terms(2)))
    assert isinstance(second, WeaponRefused)
    (after,) = await stocked.hears(validated(terms(3, starts_at=NOON + HOUR)))
    assert isinstance(after, WeaponReserved)
    with pytest.raises(NoUnitToSpare):
        await stocked.hears(PlanService(weapon=weapon(2), work="cleaned", starts_at=NOON + HOUR / 2), by=AT_COUNTER)


async def test_a_weapon_that_is_planned_stays_while_another_is_there(stocked: Hearing) -> None:
    await stocked.hears(PLAN.model_copy(update={"starts_at": NOON + HOUR / 2}), by=AT_COUNTER)
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    with pytest.raises(PlannedForService):
        await stocked.hears(issue(1, 1), by=AT_COUNTER)
    await stocked.hears(QuarantineWeapon(weapon=weapon(2), reason="damaged"), by=AT_COUNTER)
    (issued, *_) = await stocked.hears(issue(1, 1), by=AT_COUNTER)
    assert isinstance(issued, WeaponIssued), "a promise counts more than a plan"


async def test_a_plan_of_an_unfit_weapon_takes_no_fit_unit(stocked: Hearing) -> None:
    await stocked.hears(QuarantineWeapon(weapon=weapon(1), reason="damaged"), by=AT_COUNTER)
    await stocked.hears(PLAN, by=AT_COUNTER)
    assert await stock_told(stocked) == (1, [])
    await stocked.hears(ReleaseWeapon(weapon=weapon(1)), by=AT_COUNTER)
    assert await stock_told(stocked) == (2, [(NOON + HOUR, NOON + 2 * HOUR)])
    await stocked.hears(ServiceWeapon(weapon=weapon(1), work="repaired"), by=AT_COUNTER)
    assert await stock_told(stocked) == (2, [])


async def test_a_service_is_due_by_time_and_blocks_the_issue_even_before_it_is_told(stocked: Hearing) -> None:
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=None, days=30, minutes=30), by=AT_COUNTER)
    due_at = NOON + 30 * DAY
    assert stocked.timers[f"service-due:{weapon(1)}"].due_at == due_at
    about = terms(1, starts_at=due_at)
    await stocked.hears(validated(about), at=due_at)
    await stocked.hears(checked_in(about))
    with pytest.raises(ServiceOverdue):
        await stocked.hears(issue(1, 1), by=AT_COUNTER, at=due_at)
    for unit, units in ((1, 1), (2, 0)):
        timer = stocked.timers[f"service-due:{weapon(unit)}"]
        await stocked.hears(timer.command, at=timer.due_at)
        assert await stock_told(stocked) == (units, [])
    (refused,) = await stocked.hears(validated(terms(2)), at=due_at)
    assert isinstance(refused, WeaponRefused)
    await stocked.hears(ServiceWeapon(weapon=weapon(1), work="inspected"), by=AT_COUNTER, at=due_at)
    await stocked.hears(issue(1, 1), by=AT_COUNTER, at=due_at)
    assert stocked.timers[f"service-due:{weapon(1)}"].due_at == due_at + 30 * DAY


async def test_a_worn_weapon_plans_its_service_and_its_barrel_is_counted_by_itself(
    stocked: Hearing, database: Database
) -> None:
    hours = tuple(OpeningHours(weekday=day, opens_minute=18 * 60, closes_minute=20 * 60) for day in range(1, 8))
    await stocked.hears(
        RangeSetUp(
            range="club",
            title="Club",
            time_zone="Europe/Berlin",
            opening_hours=hours,
            slot_minutes=30,
            hold_seconds=30,
            early_check_in_minutes=30,
            no_show_minutes=30,
        )
    )
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=50), by=AT_COUNTER)
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    for rounds in (39, 1):
        assert f"service-ahead:{weapon(1)}" not in stocked.timers
        await stocked.hears(issue(1, 1, rounds), by=AT_COUNTER)
        await stocked.hears(take_back(1, 1, 0), by=AT_COUNTER)
    await stocked.hears(stocked.timers[f"service-ahead:{weapon(1)}"].command)
    evening = NOON.replace(hour=16)
    assert await stock_told(stocked) == (2, [(evening, evening + HOUR)])

    gateway = await database.connect("gateway")
    shown = next(one for one in await weapons_views.weapons(gateway, staff=True) if one.weapon == weapon(1))
    assert (shown.planned_from, shown.planned_until, shown.planned_work) == (evening, evening + HOUR, "inspected")
    assert (shown.barrel, shown.barrel_rounds) == (1, 40)
    await stocked.hears(ServiceWeapon(weapon=weapon(1), work="rebarrelled"), by=AT_COUNTER)
    await stocked.hears(issue(1, 1, 10), by=AT_COUNTER)
    await stocked.hears(take_back(1, 1, 3), by=AT_COUNTER)
    shown = next(one for one in await weapons_views.weapons(gateway, staff=True) if one.weapon == weapon(1))
    assert (shown.barrel, shown.barrel_rounds, shown.rounds_fired, shown.planned_from) == (2, 7, 47, None)
    (done,) = await services_views.services(gateway, weapon(1), most=9)
    assert (done.work, done.barrel, done.barrel_rounds) == ("rebarrelled", 1, 40)
    await gateway.close()


async def test_a_plan_that_became_impossible_shows_with_the_reservations_it_crowds(
    stocked: Hearing, database: Database
) -> None:
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=None, minutes=60), by=AT_COUNTER)
    far = datetime(2100, 1, 1, tzinfo=UTC)
    await stocked.hears(PLAN.model_copy(update={"starts_at": far + HOUR / 2}), by=AT_COUNTER)
    await stocked.hears(validated(terms(1, starts_at=far)))
    gateway = await database.connect("gateway")
    assert await weapons_views.reservations_beyond_stock(gateway, most=9) == []
    await stocked.hears(QuarantineWeapon(weapon=weapon(2), reason="damaged"), by=AT_COUNTER)
    (beyond,) = await weapons_views.reservations_beyond_stock(gateway, most=9)
    assert (beyond.booking, beyond.units, beyond.kept) == (booking(1), 1, 2)
    await gateway.close()


async def test_the_same_events_plan_the_same(stocked: Hearing, database: Database) -> None:
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=500, days=90), by=AT_COUNTER)
    await stocked.hears(ServiceWeapon(weapon=weapon(1), work="rebarrelled"), by=AT_COUNTER, at=NOON + HOUR)
    await stocked.hears(PLAN.model_copy(update={"starts_at": DURING.ends_at}), by=AT_COUNTER)
    await stocked.hears(FIND.model_copy(update={"weapon": weapon(2)}), at=NOON + 90 * DAY)
    await stocked.hears(PLAN.model_copy(update={"weapon": weapon(3)}), by=AT_COUNTER)
    await stocked.hears(CancelServicePlan(weapon=weapon(3)), by=AT_COUNTER)
    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
