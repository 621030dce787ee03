"""What the slots offer is what auth would grant: compared over random shooters, licences, days and times."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bus.service import Given
from handlers.auth import model, reactions, rule_store
from handlers.auth.commands import ConfirmLicence, RevokeLicence, SuspendLicence
from handlers.auth.events import EntitlementsPublished, LicenceValidated
from handlers.auth.model import LicenceFile
from handlers.auth.rule_set import RuleSet
from handlers.auth.rule_sets import BUILT_IN, GENERIC, RUSSIAN_CIVIL
from handlers.auth.rules import Licence, LicenceState, Shooter, entitlements, known_categories
from handlers.booking.events import LaneHeld, Terms
from handlers.booking.views.offers import SlotView
from handlers.booking.views.slots import slots
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import ALL_DAY, ANNA, BEN, INA, SET_UP, open_lane

CLASSES = sorted({*GENERIC.categories, *RUSSIAN_CIVIL.categories})
INSTRUCTOR = LicenceFile((), {INA: frozenset({"instructor"})})
QUARTER = timedelta(minutes=15)
DAYS = 40
GUESTS = 4
JUDGE: dict[LicenceState, tuple[Any, Any]] = {
    LicenceState.CONFIRMED: (model.confirm_licence, ConfirmLicence),
    LicenceState.SUSPENDED: (model.suspend_licence, SuspendLicence),
    LicenceState.REVOKED: (model.revoke_licence, RevokeLicence),
}


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    connection: asyncpg.Connection = await database.connect("postgres")
    await connection.execute("SET search_path = booking, bus")
    desk = Desk(connection)
    await desk.hears(SET_UP.model_copy(update={"opening_hours": ALL_DAY, "time_zone": "Europe/Berlin"}), by="service:t")
    await desk.hears(open_lane("lane-1", weapon_classes=(*CLASSES, "cannon")), by="service:t")
    for number in range(1, GUESTS + 1):
        await desk.hears(open_lane(f"spare-{number}"), by="service:t")
    yield desk
    await connection.close()


quarters = st.integers(0, DAYS * 96)
licences = st.tuples(
    st.sampled_from([*known_categories(GENERIC), *known_categories(RUSSIAN_CIVIL)]),
    quarters,
    st.integers(1, 96 * 10),
    st.sampled_from(LicenceState),
)


def judged(
    person: UUID, files: list[Licence], states: list[LicenceState], at: datetime, age: int, rules: RuleSet
) -> EntitlementsPublished:
    """Takes each licence to its state by auth's own decisions; the last that was published."""
    published = model.published(person, entitlements(Shooter(age=age), rules), rules)
    for index, state in enumerate(states):
        if state is LicenceState.RECORDED:
            continue
        decide, command = JUDGE[state]
        extra = {} if state is LicenceState.CONFIRMED else {"reason": "lost"}
        asked = command(person=person, licence=files[index].licence, **extra)
        given_ = Given(at=at, id=ANNA, correlation=ANNA, actor=f"person:{INA}")
        said = decide(LicenceFile(tuple(files), INSTRUCTOR.staff, age, rules), asked, given_)
        published = next(one for one in said if isinstance(one, EntitlementsPublished))
        one = files[index]
        files[index] = Licence(one.licence, one.category, one.valid_from, one.valid_until, state)
    return published


def granted(weapon_class: str, slot: SlotView, check: reactions.Check) -> bool:
    """What auth says to a lane that is held."""
    held = held_by(ANNA, ANNA, weapon_class, slot.starts_at, slot.ends_at)
    (said,) = reactions.check_licence(
        check, held, Given(at=slot.starts_at, id=ANNA, correlation=ANNA, actor="service:t")
    )
    return isinstance(said, LicenceValidated)


async def supervised_in(auth: asyncpg.Connection, slots_: Sequence[SlotView]) -> list[int]:
    """How many others auth counts under supervision in each slot."""
    await auth.execute("SET LOCAL search_path = auth, bus")
    counted = [
        await rule_store.supervised_then(auth, held_by(ANNA, ANNA, "air", slot.starts_at, slot.ends_at))
        for slot in slots_
    ]
    await auth.execute("SET LOCAL search_path = booking, bus")
    return counted


def held_by(booking: UUID, person: UUID, weapon_class: str, starts_at: datetime, ends_at: datetime) -> LaneHeld:
    terms = Terms(
        booking=booking,
        command=booking,
        person=person,
        range="hall",
        lane="lane-1",
        discipline="air-pistol-10m",
        starts_at=starts_at,
        ends_at=ends_at,
        weapon_class=weapon_class,
        weapon_type=None,
        rounds=0,
    )
    return LaneHeld(booking=booking, terms=terms, held_until=starts_at, no_show_at=ends_at)


async def guest_booked(desk: Desk, number: int, starts_at: datetime) -> None:
    """Somebody else, booked under supervision, on a lane that nobody looks at."""
    held = held_by(UUID(int=number), UUID(int=number), "air", starts_at, starts_at + timedelta(minutes=30))
    terms = held.terms.model_copy(update={"lane": f"spare-{number}"})
    held = held.model_copy(update={"terms": terms})
    said = LicenceValidated(booking=held.booking, terms=terms, rule_set="ru-civil", rule_version=1, supervised=True)
    await desk.replay([held, said])
    await desk.connection.execute("SET LOCAL search_path = auth, bus")
    await rule_store.apply_lane_held(desk.connection, held)
    await rule_store.apply_licence_validated(desk.connection, said)
    await desk.connection.execute("SET LOCAL search_path = booking, bus")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    held=st.lists(licences, max_size=5),
    other=st.lists(licences, max_size=2),
    age=st.sampled_from([0, 14, 18, 21]),
    rules=st.sampled_from(BUILT_IN),
    days=st.lists(st.integers(1, DAYS), min_size=1, max_size=2),
    guests=st.lists(st.integers(20, 22), max_size=GUESTS),
)
@example(held=[], other=[], age=14, rules=RUSSIAN_CIVIL, days=[3], guests=[20, 20, 21])
async def test_slots_offer_what_auth_grants_and_nothing_else(
    desk: Desk,
    held: list[tuple[str, int, int, LicenceState]],
    other: list[tuple[str, int, int, LicenceState]],
    age: int,
    rules: RuleSet,
    days: list[int],
    guests: list[int],
) -> None:
    attempt = desk.connection.transaction()
    await attempt.start()
    try:
        now: datetime = await desk.connection.fetchval("SELECT now()")
        today = datetime.combine(now.date(), datetime.min.time(), UTC)
        files: dict[UUID, list[Licence]] = {}
        for person, of_person in ((ANNA, held), (BEN, other)):
            files[person] = [
                Licence(
                    UUID(int=number),
                    category,
                    today + begin * QUARTER,
                    today + (begin + length) * QUARTER,
                    LicenceState.RECORDED,
                )
                for number, (category, begin, length, _) in enumerate(of_person)
            ]
            states = [state for *_, state in of_person]
            await desk.hears(judged(person, files[person], states, now, age, rules))
        for number, half_hour in enumerate(guests, 1):
            await guest_booked(desk, number, today + timedelta(days=days[0], minutes=30 * half_hour))
        for day in days:
            found = await slots(desk.connection, (today + timedelta(days=day)).date(), "hall", ANNA)
            assert found is not None
            free = [slot for slot in found.ranges[0].lanes[0].slots if slot.free]
            for slot, taken in zip(free, await supervised_in(desk.connection, free), strict=True):
                check = reactions.Check(Shooter(tuple(files[ANNA]), age), rules, taken)
                expected = {one for one in [*CLASSES, "cannon"] if granted(one, slot, check)}
                assert set(slot.own_weapon_classes) == expected, slot
                assert {one.weapon_class for one in slot.not_possible} == {*CLASSES, "cannon"} - expected
    finally:
        await attempt.rollback()
