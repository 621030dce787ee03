from dataclasses import replace
from uuid import UUID

import pytest

from bus.connection import Connection
from bus.errors import Rejected
from handlers.armory.commands import (
    CloseDay,
    CorrectHandover,
    QuarantineWeapon,
    ReleaseWeapon,
    ServiceWeapon,
    SetServiceInterval,
)
from handlers.armory.events import (
    DayClosed,
    ServiceIntervalSet,
    WeaponQuarantined,
    WeaponRefused,
    WeaponReleased,
    WeaponServiced,
    WeaponTypeStocked,
)
from handlers.armory.model.closing import Loose, Out, WeaponsStillOut, close_day
from handlers.armory.model.fitness import (
    Bench,
    Fleet,
    NotInQuarantine,
    OutForService,
    QuarantinedAlready,
    ServiceDue,
    Weapon,
    WeaponInQuarantine,
    WeaponUnknown,
    quarantine_weapon,
    release_weapon,
    service_weapon,
    set_service_interval,
)
from handlers.armory.model.people import NobodyAtTheCounter
from handlers.armory.model.register import WeaponTypeUnknown
from handlers.armory.views import services as services_views
from handlers.armory.views import weapons as weapons_views
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

QUARANTINE = QuarantineWeapon(weapon=weapon(1), reason="damaged")
RELEASE = ReleaseWeapon(weapon=weapon(1))
SERVICE = ServiceWeapon(weapon=weapon(1), work="cleaned")
KEPT_BACK = replace(RIFLE, quarantine="damaged")
WORN = replace(RIFLE, rounds_fired=900, rounds_since_service=500, service_after_rounds=500)
QUARANTINED = WeaponQuarantined(weapon=weapon(1), reason="damaged", quarantined_by=CARLA, quarantined_at=NOON)
RELEASED = WeaponReleased(weapon=weapon(1), released_by=CARLA, released_at=NOON)
SERVICED = WeaponServiced(
    weapon=weapon(1),
    work="cleaned",
    rounds_fired=900,
    rounds_since_service=500,
    serviced_by=CARLA,
    serviced_at=NOON,
    barrel_rounds=0,
)


def stocked_with(units: int) -> WeaponTypeStocked:
    return WeaponTypeStocked(weapon_type="air-rifle", weapon_class="air", title="Air rifle", units=units)


def test_a_weapon_in_quarantine_is_one_fit_unit_less_until_it_is_released() -> None:
    given(Bench(RIFLE, out=True), actor=AT_COUNTER).when(quarantine_weapon, QUARANTINE).then(
        QUARANTINED, stocked_with(1)
    )
    given(Bench(KEPT_BACK, out=False), actor=AT_COUNTER).when(release_weapon, RELEASE).then(RELEASED, stocked_with(3))


def test_a_weapon_whose_service_is_due_is_not_fit_in_quarantine_or_out_of_it() -> None:
    given(Bench(WORN, out=False), actor=AT_COUNTER).when(quarantine_weapon, QUARANTINE).then(QUARANTINED)
    both = replace(WORN, quarantine="damaged")
    given(Bench(both, out=False), actor=AT_COUNTER).when(release_weapon, RELEASE).then(RELEASED)


def test_a_service_makes_a_worn_weapon_fit() -> None:
    given(Bench(WORN, out=False), actor=AT_COUNTER).when(service_weapon, SERVICE).then(SERVICED, stocked_with(3))


@pytest.mark.parametrize(
    ("bench", "decide", "asked", "actor", "rule"),
    [
        (Bench(None, out=False), quarantine_weapon, QUARANTINE, AT_COUNTER, WeaponUnknown),
        (Bench(KEPT_BACK, out=False), quarantine_weapon, QUARANTINE, AT_COUNTER, QuarantinedAlready),
        (Bench(RIFLE, out=False), release_weapon, RELEASE, AT_COUNTER, NotInQuarantine),
        (Bench(WORN, out=True), service_weapon, SERVICE, AT_COUNTER, OutForService),
        (Bench(RIFLE, out=False), quarantine_weapon, QUARANTINE, "service:auth", NobodyAtTheCounter),
    ],
)
def test_a_weapon_is_not_looked_after_against_the_rules(
    bench: Bench, decide: object, asked: object, actor: str, rule: type[Rejected]
) -> None:
    given(bench, actor=actor).when(decide, asked).then_refused(rule)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rounds", "units"), [(None, 2), (500, 1), (100, 0)])
def test_a_limit_makes_unfit_what_has_fired_so_much(rounds: int | None, units: int) -> None:
    fleet = Fleet(
        replace(RIFLE.kind, units=7),
        {weapon(1): replace(RIFLE, rounds_since_service=100), weapon(2): replace(WORN, service_after_rounds=1)},
    )
    asked = SetServiceInterval(weapon_type="air-rifle", rounds=rounds)
    given(fleet).when(set_service_interval, asked).then(
        ServiceIntervalSet(weapon_type="air-rifle", rounds=rounds, set_at=NOON), stocked_with(units)
    )
    given(Fleet(None, {})).when(set_service_interval, asked).then_refused(WeaponTypeUnknown)


def test_a_day_is_closed_once_all_weapons_are_back_and_otherwise_it_is_said_who_has_them() -> None:
    asked = CloseDay(range="club")
    given(Loose(), actor=AT_COUNTER).when(close_day, asked).then(
        DayClosed(range="club", closed_by=CARLA, closed_at=NOON)
    )
    out = [Out(weapon(1), "air-rifle", ANNA), Out(weapon(2), "air-rifle", BORIS), Out(weapon(3), "x" * 64, ANNA)]
    refused = given(Loose(out), actor=AT_COUNTER).when(close_day, asked)
    refused.then_refused(WeaponsStillOut, count=3)
    assert refused.refusal is not None
    assert f"{weapon(1)} is with {ANNA}" in refused.refusal.reason
    assert refused.refusal.reason.endswith("and 1 more.")
    assert len(refused.refusal.reason) < 500


async def out_and_back(armory: Hearing, number: int, unit: int, fired: int) -> None:
    await armory.hears(validated(terms(number)))
    await armory.hears(checked_in(terms(number)))
    await armory.hears(issue(number, unit, rounds=fired), by=AT_COUNTER)
    await armory.hears(take_back(number, unit, rounds=0), by=AT_COUNTER)


async def fit(armory: Hearing) -> int:
    """The fit units by the table, which must be those counted one by one."""
    row = await armory.connection.fetchrow(
        """
        SELECT units, (
            SELECT count(*) FROM weapon AS w
            WHERE w.weapon_type = t.weapon_type AND w.quarantine IS NULL
              AND (w.rounds_since_service >= t.service_after_rounds) IS NOT TRUE)
        FROM weapon_type AS t WHERE weapon_type = 'air-rifle'
        """
    )
    assert row is not None
    told, counted = row
    assert told == counted
    return int(told)


async def test_rounds_fired_make_a_service_due_which_blocks_the_issue_until_it_is_done(
    stocked: Hearing, database: Database
) -> None:
    await stocked.hears(SetServiceInterval(weapon_type="air-rifle", rounds=60))
    await out_and_back(stocked, 1, 1, fired=40)
    assert await fit(stocked) == 2
    await stocked.hears(issue(1, 1, rounds=20), by=AT_COUNTER)
    await stocked.hears(take_back(1, 1, rounds=0), by=AT_COUNTER)
    assert await fit(stocked) == 1
    with pytest.raises(ServiceDue, match="60 rounds"):
        await stocked.hears(issue(1, 1, rounds=0), by=AT_COUNTER)

    await stocked.hears(CorrectHandover(weapon=weapon(1), entry=4, reason="wrong-rounds"), by=AT_COUNTER)
    assert await fit(stocked) == 2
    await stocked.hears(take_back(1, 1, rounds=0), by=AT_COUNTER)
    await stocked.hears(SERVICE, by=AT_COUNTER)
    assert await fit(stocked) == 2
    await stocked.hears(issue(1, 1, rounds=0), by=AT_COUNTER)
    await rebuilt_the_same(stocked, database)
    connection = await database.connect("gateway")
    (service,) = await services_views.services(connection, weapon(1), most=9)
    assert (service.number, service.rounds_fired, service.rounds_since_service) == (1, 60, 60)
    await connection.close()


async def test_a_weapon_in_quarantine_is_kept_back_and_what_was_promised_beyond_the_rest_is_listed(
    stocked: Hearing, database: Database
) -> None:
    now = await stocked.connection.fetchval("SELECT now()")
    for number in (1, 2):
        await stocked.hears(validated(terms(number, starts_at=now)))
        await stocked.hears(checked_in(terms(number)))
    await stocked.hears(validated(terms(3, starts_at=now + HOUR)))
    assert await beyond(database) == []
    await stocked.hears(QUARANTINE, by=AT_COUNTER)
    assert await fit(stocked) == 1
    assert await beyond(database) == [booking(1), booking(2)]
    with pytest.raises(WeaponInQuarantine, match="damaged"):
        await stocked.hears(issue(1, 1), by=AT_COUNTER, at=now)
    (refused,) = await stocked.hears(validated(terms(4, starts_at=now + HOUR)))
    assert isinstance(refused, WeaponRefused)
    await stocked.hears(RELEASE, by=AT_COUNTER)
    assert await fit(stocked) == 2
    assert await beyond(database) == []
    await stocked.hears(issue(1, 1), by=AT_COUNTER, at=now)


async def beyond(database: Database) -> list[UUID]:
    connection: Connection = await database.connect("gateway")
    found = await weapons_views.reservations_beyond_stock(connection, most=9)
    await connection.close()
    return [one.booking for one in found]


async def test_a_range_is_not_closed_while_a_weapon_is_out(stocked: Hearing, database: Database) -> None:
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(issue(), by=AT_COUNTER)
    await stocked.hears(CloseDay(range="elsewhere"), by=AT_COUNTER)
    with pytest.raises(WeaponsStillOut, match=str(ANNA)):
        await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)
    await stocked.hears(take_back(), by=AT_COUNTER)
    await stocked.hears(finished())
    (closed,) = await stocked.hears(CloseDay(range="club"), by=AT_COUNTER)
    assert closed == DayClosed(range="club", closed_by=CARLA, closed_at=NOON)
    await rebuilt_the_same(stocked, database)


async def rebuilt_the_same(armory: Hearing, database: Database) -> None:
    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await armory.replay(armory.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()


def test_a_weapon_is_fit_below_its_limit_and_due_at_it() -> None:
    assert Weapon(RIFLE.kind, "4.5 mm", rounds_since_service=499, service_after_rounds=500).fit
    assert not WORN.fit
    assert WORN.after(-1).fit
    assert WORN.after(-1000).rounds_since_service == 0
