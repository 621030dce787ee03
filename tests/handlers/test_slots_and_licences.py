"""What the slots offer is what auth would grant: compared over random shooters, licences, days and times."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.service import Given
from handlers.auth import model, reactions
from handlers.auth.commands import ConfirmLicence, RevokeLicence, SuspendLicence
from handlers.auth.events import EntitlementsPublished, LicenceValidated
from handlers.auth.model import LicenceFile
from handlers.auth.rules import IN_FORCE, Licence, LicenceState, known_categories
from handlers.booking.events import LaneHeld, Terms
from handlers.booking.views.slots import slots
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import ALL_DAY, ANNA, BEN, INA, SET_UP, open_lane

CLASSES = sorted(IN_FORCE.categories)
INSTRUCTOR = LicenceFile((), {INA: frozenset({"instructor"})})
QUARTER = timedelta(minutes=15)
DAYS = 40
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
    yield desk
    await connection.close()


quarters = st.integers(0, DAYS * 96)
licences = st.tuples(
    st.sampled_from(known_categories()), quarters, st.integers(1, 96 * 10), st.sampled_from(LicenceState)
)


def judged(
    person: UUID, files: list[Licence], states: list[LicenceState], at: datetime
) -> EntitlementsPublished | None:
    """Takes each licence to its state by auth's own decisions; the last that was published."""
    published = None
    for index, state in enumerate(states):
        if state is LicenceState.RECORDED:
            continue
        decide, command = JUDGE[state]
        extra = {} if state is LicenceState.CONFIRMED else {"reason": "lost"}
        asked = command(person=person, licence=files[index].licence, **extra)
        given_ = Given(at=at, id=ANNA, correlation=ANNA, actor=f"person:{INA}")
        said = decide(LicenceFile(tuple(files), INSTRUCTOR.staff), asked, given_)
        published = next(one for one in said if isinstance(one, EntitlementsPublished))
        one = files[index]
        files[index] = Licence(one.licence, one.category, one.valid_from, one.valid_until, state)
    return published


def granted(person: UUID, weapon_class: str, starts_at: datetime, ends_at: datetime, files: list[Licence]) -> bool:
    """What auth says to a lane that is held."""
    terms = Terms(
        booking=ANNA,
        command=ANNA,
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
    held = LaneHeld(booking=ANNA, terms=terms, held_until=ends_at, no_show_at=ends_at)
    (said,) = reactions.check_licence(files, held, Given(at=starts_at, id=ANNA, correlation=ANNA, actor="service:t"))
    return isinstance(said, LicenceValidated)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    held=st.lists(licences, max_size=5),
    other=st.lists(licences, max_size=2),
    days=st.lists(st.integers(0, DAYS), min_size=1, max_size=3),
)
async def test_slots_offer_what_auth_grants_and_nothing_else(
    desk: Desk,
    held: list[tuple[str, int, int, LicenceState]],
    other: list[tuple[str, int, int, LicenceState]],
    days: list[int],
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
            published = judged(person, files[person], [state for *_, state in of_person], now)
            if published is not None:
                await desk.hears(published)
        for day in days:
            found = await slots(desk.connection, (today + timedelta(days=day)).date(), "hall", ANNA)
            assert found is not None
            for slot in found.ranges[0].lanes[0].slots:
                if not slot.free:
                    continue
                expected = {
                    one for one in [*CLASSES, "cannon"] if granted(ANNA, one, slot.starts_at, slot.ends_at, files[ANNA])
                }
                assert set(slot.own_weapon_classes) == expected, slot
                assert {one.weapon_class for one in slot.not_possible} == {*CLASSES, "cannon"} - expected
    finally:
        await attempt.rollback()
