"""The invariants of handlers/armory/README.md, whatever is asked in whatever order, in a real database."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.connection import Connection
from bus.errors import Rejected
from bus.message import Event, Message
from handlers.armory.commands import (
    CorrectHandover,
    QuarantineWeapon,
    ReleaseWeapon,
    ServiceWeapon,
    SetServiceInterval,
    StockAmmunition,
)
from handlers.armory.events import (
    HandoverCorrected,
    ReservationReleased,
    WeaponIssued,
    WeaponReserved,
    WeaponReturned,
)
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import (
    AT_COUNTER,
    HOUR,
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


async def in_stock(armory: Hearing) -> int:
    rounds: int = await armory.connection.fetchval("SELECT rounds FROM lot WHERE calibre = '4.5 mm'")
    return rounds


moves = st.one_of(
    st.builds(lambda n, h: validated(terms(n, starts_at=NOON + h * HOUR)), st.integers(1, 4), st.integers(0, 1)),
    st.builds(lambda n: checked_in(terms(n)), st.integers(1, 4)),
    st.builds(issue, st.integers(1, 4), st.integers(1, 3), st.integers(0, 60)),
    st.builds(take_back, st.integers(1, 4), st.integers(1, 3), st.integers(0, 60)),
    st.builds(
        lambda unit, entry: CorrectHandover(weapon=weapon(unit), entry=entry, reason="wrong-rounds"),
        st.integers(1, 2),
        st.integers(1, 6),
    ),
    st.builds(lambda unit: QuarantineWeapon(weapon=weapon(unit), reason="damaged"), st.integers(1, 2)),
    st.builds(lambda unit: ReleaseWeapon(weapon=weapon(unit)), st.integers(1, 2)),
    st.builds(lambda unit: ServiceWeapon(weapon=weapon(unit), work="cleaned"), st.integers(1, 2)),
    st.builds(SetServiceInterval, weapon_type=st.just("air-rifle"), rounds=st.sampled_from([None, 20, 60])),
    st.builds(StockAmmunition, calibre=st.just("4.5 mm"), rounds=st.integers(1, 30)),
    st.builds(lambda n, end: end(n), st.integers(1, 4), st.sampled_from([rejected, cancelled, not_come, finished])),
)


opening = st.sampled_from([[], [validated(terms(1)), checked_in(terms(1)), issue(1, 1, 40), take_back(1, 1, 10)]])


@given(st.tuples(opening, st.lists(moves, min_size=5, max_size=30)).map(lambda parts: [*parts[0], *parts[1]]))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_whatever_is_asked_the_books_are_right(stocked: Hearing, asked: list[Message]) -> None:
    """Invariants 1 and 3 to 9 of the README, told by the events alone and by the tables."""
    before = len(stocked.log)
    attempt = stocked.connection.transaction()
    await attempt.start()
    try:
        for message in asked:
            with suppress(Rejected):
                await stocked.hears(message, by=AT_COUNTER)
        said, stocked.log[before:] = stocked.log[before:], []
        out, fired = told_in_order(said)
        brought = sum(message.rounds for message in asked if isinstance(message, StockAmmunition))
        assert await in_stock(stocked) == 100 + brought - fired - sum(loan.rounds for loan in out.values())
        await look_into(stocked.connection, out)
    finally:
        await attempt.rollback()


def told_in_order(events: Sequence[Event]) -> tuple[dict[UUID, WeaponIssued], int]:
    """The loans that are open after these events, and how many cartridges were fired in all others."""
    kept: set[UUID] = set()
    ever: set[UUID] = set()
    out: dict[UUID, WeaponIssued] = {}
    closed: dict[UUID, WeaponIssued] = {}
    fired = 0
    for event in events:
        match event:
            case HandoverCorrected(kind="return"):
                assert out.pop(event.weapon).rounds == event.rounds
            case HandoverCorrected(kind="issue"):
                loan = out[event.weapon] = closed[event.weapon]
                assert loan.rounds == event.rounds + event.rounds_not_fired
                fired -= event.rounds_not_fired
            case WeaponReserved():
                assert event.booking not in ever
                kept.add(event.booking)
                ever.add(event.booking)
            case ReservationReleased():
                kept.remove(event.booking)
            case WeaponIssued():
                assert event.weapon not in out
                assert event.booking in kept
                assert event.handed_by != event.handed_to
                assert all(loan.booking != event.booking for loan in out.values())
                out[event.weapon] = event
            case WeaponReturned():
                loan = out.pop(event.weapon)
                assert (loan.booking, loan.handed_to) == (event.booking, event.returned_by)
                assert loan.rounds == event.rounds_returned + event.rounds_fired
                fired += event.rounds_fired
                closed[event.weapon] = loan
            case _:
                pass
    return out, fired


async def look_into(connection: Connection, out: dict[UUID, WeaponIssued]) -> None:
    holders = await connection.fetch("SELECT weapon, holder FROM loan WHERE returned_at IS NULL")
    assert {row["weapon"]: row["holder"] for row in holders} == {one: loan.handed_to for one, loan in out.items()}
    crowd = await connection.fetchval(
        """
        SELECT max((SELECT count(*) FROM reservation AS o WHERE NOT o.released AND o.during @> lower(r.during)))
        FROM reservation AS r WHERE NOT r.released
        """
    )
    assert (crowd or 0) <= 2
    for told, counted in await connection.fetch(
        """
        SELECT units, (
            SELECT count(*) FROM weapon AS w
            WHERE w.weapon_type = t.weapon_type AND w.quarantine IS NULL
              AND (w.rounds_since_service >= t.service_after_rounds) IS NOT TRUE)
        FROM weapon_type AS t
        """
    ):
        assert told == counted
    for counted, fired in await connection.fetch(
        """
        SELECT rounds_fired, (SELECT coalesce(sum(l.rounds_fired), 0) FROM loan AS l WHERE l.weapon = w.weapon)
        FROM weapon AS w
        """
    ):
        assert counted == fired
    book = await connection.fetch("SELECT weapon, kind, from_person, to_person FROM handover ORDER BY weapon, entry")
    for before, after in pairwise(book):
        if before["weapon"] == after["weapon"]:
            assert before["kind"] != after["kind"]
            assert before["kind"] == "return" or before["to_person"] == after["from_person"]
