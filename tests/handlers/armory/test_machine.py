"""The armoury under random orders, legal and not, beside a small model of it; and what is left after many at once."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from asyncpg import DeadlockDetectedError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bus.connection import Connection
from bus.errors import Rejected
from bus.message import Event, Message
from handlers.armory.commands import (
    AddWeapon,
    AddWeaponType,
    CancelServicePlan,
    CorrectHandover,
    ExplainDifference,
    IssueWeapon,
    PlanService,
    QuarantineWeapon,
    RecallLot,
    RecoverWeapon,
    ReinstateLot,
    ReleaseWeapon,
    ReportLoss,
    ReturnWeapon,
    ServiceWeapon,
    SetServiceInterval,
    StockAmmunition,
    WriteOffAmmunition,
)
from handlers.armory.events import HandoverCorrected, WeaponIssued, WeaponRefused, WeaponReserved, WeaponReturned
from handlers.armory.service import service
from handlers.booking.events import LaneOpened
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty
from tests.handlers.armory.made import (
    ANNA,
    AT_COUNTER,
    booking,
    cancelled,
    checked_in,
    entitled,
    finished,
    terms,
    validated,
    weapon,
)
from tests.handlers.armory.test_ammunition import scored
from tests.handlers.scenario import NOON

CALIBRE, LOTS, UNITS, BOOKINGS = "4.5 mm", ("A", "B"), 2, 12
SLOT = timedelta(minutes=30)
T = TypeVar("T")

BREACHES = {
    "stock is less than nothing": "SELECT calibre, lot FROM lot WHERE rounds < 0",
    "cartridges of a loan do not add up": """
        SELECT weapon, entry FROM loan
        WHERE returned_at IS NOT NULL AND rounds_issued <> rounds_returned + rounds_fired + rounds_written_off
    """,
    "a booking's cartridges do not add up": """
        SELECT r.booking FROM reckoning AS r
        JOIN (SELECT booking, sum(rounds_issued) AS issued, sum(rounds_returned) AS returned,
                     bool_or(returned_at IS NULL) AS out FROM loan GROUP BY booking) AS l USING (booking)
        WHERE NOT l.out AND (r.issued <> l.issued OR r.returned <> l.returned
                             OR r.issued <> r.fired + r.returned + r.written_off + r.unexplained)
    """,
    "entries of a custody book do not alternate, or leave one out": """
        SELECT weapon, entry FROM (
            SELECT weapon, entry, kind, row_number() OVER (PARTITION BY weapon ORDER BY entry) AS nth,
                   lag(to_person) OVER (PARTITION BY weapon ORDER BY entry) AS held_by, from_person
            FROM handover) AS h
        WHERE entry <> nth OR kind <> CASE nth % 2 WHEN 1 THEN 'issue' ELSE 'return' END
           OR kind = 'return' AND from_person <> held_by
    """,
    "a weapon is out, and its book says otherwise": """
        SELECT w.weapon FROM weapon AS w
        WHERE EXISTS (SELECT FROM loan AS l WHERE l.weapon = w.weapon AND l.returned_at IS NULL)
          <> coalesce((SELECT h.kind = 'issue' FROM handover AS h WHERE h.weapon = w.weapon
                       ORDER BY h.entry DESC LIMIT 1), false)
    """,
    "a weapon was issued for a booking that had not checked in": """
        SELECT h.weapon, h.entry FROM handover AS h
        WHERE h.corrects IS NULL AND h.kind = 'issue'
          AND NOT EXISTS (SELECT FROM known_booking AS k WHERE k.booking = h.booking AND k.checked_in_at IS NOT NULL)
    """,
    "more is promised at one moment than the club has": """
        WITH promised AS (
            SELECT weapon_type, during FROM reservation WHERE NOT released
            UNION ALL SELECT weapon_type, planned FROM weapon WHERE planned IS NOT NULL)
        SELECT p.weapon_type, lower(p.during) FROM promised AS p
        WHERE (SELECT count(*) FROM promised AS o WHERE o.weapon_type = p.weapon_type AND o.during @> lower(p.during))
            > (SELECT count(*) FROM weapon AS w WHERE w.weapon_type = p.weapon_type)
    """,
    "the fit units told are not those of the register": """
        SELECT t.weapon_type FROM weapon_type AS t
        WHERE t.units <> (
            SELECT count(*) FROM weapon AS w
            WHERE w.weapon_type = t.weapon_type AND w.quarantine IS NULL AND w.gone IS NULL AND NOT w.overdue
              AND (w.rounds_since_service >= t.service_after_rounds) IS NOT TRUE)
    """,
    "a weapon's rounds are not those of its loans, as they were reckoned": """
        SELECT w.weapon FROM weapon AS w
        WHERE w.rounds_fired <> (SELECT coalesce(sum(l.rounds_fired), 0) FROM loan AS l WHERE l.weapon = w.weapon)
                              + (SELECT coalesce(sum(r.adjusted), 0) FROM reckoning AS r WHERE r.weapon = w.weapon)
    """,
}  # fmt: skip
"""What must never be, and the statement that finds it."""


async def breaches(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    found = {name: await connection.fetch(statement) for name, statement in BREACHES.items()}
    return {name: [tuple(row) for row in rows] for name, rows in found.items() if rows}


def opened() -> list[Message]:
    """An armoury with two air rifles, cartridges of two lots, and a lane whose target counts."""
    lane = LaneOpened(
        range="club",
        lane="lane-1",
        distance_m=10,
        discipline="air-rifle-10m",
        weapon_classes=("air",),
        target_address="freetarget://127.0.0.1:1090",
    )
    return [
        AddWeaponType(weapon_type="air-rifle", weapon_class="air", calibre=CALIBRE, title="Air rifle"),
        *(AddWeapon(weapon=weapon(n), weapon_type="air-rifle", serial=str(n)) for n in range(1, UNITS + 1)),
        *(StockAmmunition(calibre=CALIBRE, rounds=60, lot=lot) for lot in LOTS),
        *entitled(ANNA),
        lane,
    ]


@dataclass
class Out:
    """A loan of the model."""

    booking: UUID
    lot: str | None
    rounds: int


units, numbers = st.integers(1, UNITS), st.integers(1, BOOKINGS)
few = st.integers(0, 40)


class Armoury(RuleBasedStateMachine):
    """Everything is asked at random; the model knows the stock of each lot, and who has which weapon."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.armory = Hearing(service(), self.run(self.database.connect("armory")))
        self.run(self._empty())
        self.at = NOON
        self.stock = dict.fromkeys(LOTS, 0)
        self.out: dict[UUID, Out] = {}
        self.loans: dict[UUID, Out] = {}  # each weapon's last
        self.entries: dict[UUID, int] = {}  # of each weapon's custody book
        for message in opened():
            self.ask(message)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def _empty(self) -> None:
        superuser = await self.database.connect("postgres")
        await empty(superuser, "armory")
        await superuser.close()

    def teardown(self) -> None:
        self.run(self.armory.connection.close())
        self.runner.close()

    def ask(self, message: Message) -> tuple[Event, ...]:
        """What the armory says, and what it says to that; the model follows."""
        try:
            said = self.run(self.armory.hears(message, by=AT_COUNTER, at=self.at))
        except Rejected:
            return ()
        for event in said:
            self.follow(event)
            if isinstance(event, WeaponReturned | HandoverCorrected):
                self.run(self.armory.hears(event, at=self.at))
        return said

    def follow(self, event: Event) -> None:
        if isinstance(event, WeaponIssued | WeaponReturned | HandoverCorrected):
            self.entries[event.weapon] = self.entries.get(event.weapon, 0) + 1
        match event.name, event.model_dump():
            case "armory.ammunition-stocked", about:
                self.stock[about["lot"]] += about["rounds"]
            case "armory.ammunition-written-off", about:
                self.stock[about["lot"]] -= about["rounds"]
            case "armory.weapon-issued", about:
                assert about["weapon"] not in self.out, "one holder"
                assert about["booking"] not in {one.booking for one in self.out.values()}, "one weapon"
                loan = Out(about["booking"], about["lot"], about["rounds"])
                self.out[about["weapon"]] = self.loans[about["weapon"]] = loan
                self._move(loan, -loan.rounds)
            case "armory.weapon-returned", about:
                loan = self.out.pop(about["weapon"])
                back = about["rounds_returned"]
                assert loan.rounds == back + about["rounds_fired"] + about["rounds_misfired"]
                self._move(loan, back)
            case "armory.handover-corrected", about:
                loan = self.loans[about["weapon"]]
                if about["kind"] == "return":
                    del self.out[about["weapon"]]
                    self._move(loan, loan.rounds)
                else:
                    self.out[about["weapon"]] = loan
                    self._move(loan, -about["rounds"])
            case _:
                pass

    def _move(self, loan: Out, rounds: int) -> None:
        if loan.lot is not None:
            self.stock[loan.lot] += rounds

    @rule(number=numbers, starts=st.integers(0, 3), slots=st.integers(1, 3))
    def book(self, number: int, starts: int, slots: int) -> None:
        self.ask(validated(terms(number, starts_at=NOON + starts * SLOT, lasts=slots * SLOT)))

    @rule(number=numbers)
    def check_in(self, number: int) -> None:
        self.ask(checked_in(terms(number)))

    @rule(number=numbers, unit=units, rounds=few, lot=st.none() | st.sampled_from(LOTS))
    def issue(self, number: int, unit: int, rounds: int, lot: str | None) -> None:
        self.ask(IssueWeapon(booking=booking(number), weapon=weapon(unit), rounds=rounds, lot=lot))

    @rule(number=numbers, unit=units, back=few, misfired=st.integers(0, 3))
    def take_back(self, number: int, unit: int, back: int, misfired: int) -> None:
        self.ask(
            ReturnWeapon(booking=booking(number), weapon=weapon(unit), rounds_returned=back, rounds_misfired=misfired)
        )

    @rule(number=numbers, unit=units, rounds=few, back=few)
    def visit(self, number: int, unit: int, rounds: int, back: int) -> None:
        """A whole visit and what the target counted of it, as far as it is let."""
        self.ask(validated(terms(number, starts_at=self.at, lasts=SLOT)))
        self.check_in(number)
        self.issue(number, unit, rounds, None)
        self.take_back(number, unit, min(back, rounds), 0)
        self.score(number, max(0, rounds - back - 2))

    @rule(number=numbers, unit=units, rounds=few)
    def visit_and_correct(self, number: int, unit: int, rounds: int) -> None:
        """The return is taken back after its shots were counted otherwise."""
        self.visit(number, unit, rounds, 3)
        self.correct(unit, 0)

    @rule(unit=units, before=st.sampled_from([0, 0, 0, 1]))
    def correct(self, unit: int, before: int) -> None:
        entry = max(1, self.entries.get(weapon(unit), 1) - before)
        self.ask(CorrectHandover(weapon=weapon(unit), entry=entry, reason="wrong-rounds"))

    @rule(unit=units, kept=st.integers(0, 9))
    def correct_in_want(self, unit: int, kept: int) -> None:
        """A return is taken back while hardly any cartridges are left of its lot."""
        for lot in LOTS:
            rounds = max(1, self.stock[lot] - kept)
            self.ask(WriteOffAmmunition(calibre=CALIBRE, rounds=rounds, lot=lot, reason="damaged"))
        self.correct(unit, 0)

    @rule(number=numbers, end=st.sampled_from([cancelled, finished]))
    def end(self, number: int, end: Any) -> None:
        self.ask(end(number))

    @rule(number=numbers, hits=few)
    def score(self, number: int, hits: int) -> None:
        """Shots are told once a session is finished, which it is only once its weapon is back."""
        if booking(number) not in {one.booking for one in self.out.values()}:
            self.ask(finished(number))
            self.ask(scored(number, hits))

    @rule(
        number=numbers,
        reason=st.sampled_from(["misfired", "lost", "not-counted", "not-issued"]),
        rounds=st.integers(1, 20),
    )
    def explain(self, number: int, reason: Any, rounds: int) -> None:
        self.ask(ExplainDifference(booking=booking(number), reason=reason, rounds=rounds))

    @rule(lot=st.sampled_from(LOTS), rounds=st.integers(1, 30), what=st.sampled_from(["in", "off", "recall", "again"]))
    def cartridges(self, lot: str, rounds: int, what: str) -> None:
        asked: dict[str, Message] = {
            "in": StockAmmunition(calibre=CALIBRE, rounds=rounds, lot=lot),
            "off": WriteOffAmmunition(calibre=CALIBRE, rounds=rounds, lot=lot, reason="damaged"),
            "recall": RecallLot(calibre=CALIBRE, lot=lot, reason="maker"),
            "again": ReinstateLot(calibre=CALIBRE, lot=lot),
        }
        self.ask(asked[what])

    @rule(unit=units, what=st.integers(0, 7), starts=st.integers(0, 6))
    def look_after(self, unit: int, what: int, starts: int) -> None:
        one = weapon(unit)
        asked: Sequence[Message] = (
            QuarantineWeapon(weapon=one, reason="damaged"),
            ReleaseWeapon(weapon=one),
            ServiceWeapon(weapon=one, work="cleaned"),
            PlanService(weapon=one, starts_at=NOON + starts * SLOT, minutes=30),
            CancelServicePlan(weapon=one),
            ReportLoss(weapon=one, reason="missing"),
            RecoverWeapon(weapon=one),
            SetServiceInterval(weapon_type="air-rifle", rounds=(None, 30, 60)[starts % 3]),
        )
        self.ask(asked[what])

    @rule(minutes=st.sampled_from([5, 20, 45]))
    def wait(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)

    @invariant()
    def the_tables_are_as_the_model(self) -> None:
        stock, out = self.run(self._look())
        assert stock == self.stock
        assert out == {one: loan.booking for one, loan in self.out.items()}

    async def _look(self) -> tuple[dict[str, int], dict[UUID, UUID]]:
        connection = self.armory.connection
        stock = {row["lot"]: row["rounds"] for row in await connection.fetch("SELECT lot, rounds FROM lot")}
        out = await connection.fetch("SELECT weapon, booking FROM loan WHERE returned_at IS NULL")
        return stock, {row["weapon"]: row["booking"] for row in out}

    @invariant()
    def nothing_is_breached(self) -> None:
        assert self.run(breaches(self.armory.connection)) == {}


@pytest.mark.timeout(180)
def test_whatever_is_asked_the_armoury_is_as_its_model_and_nothing_is_breached(database: Database) -> None:
    machine = type("ArmouryHere", (Armoury,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a story that is found is not made shorter: that takes minutes
        ),
    )


AT_ONCE, EACH = 6, 20


async def test_nothing_is_breached_after_many_at_once(database: Database) -> None:
    """Six want the same two weapons for the same time, again and again, under the locks that workers take."""
    hearings = [Hearing(service(), await database.connect("armory")) for _ in range(AT_ONCE)]
    for message in opened():
        await hearings[0].hears(message, by=AT_COUNTER)
    await asyncio.gather(*(_busy(one, n) for n, one in enumerate(hearings)))
    assert await breaches(hearings[0].connection) == {}
    said = [event for one in hearings for event in one.log]
    for kind in (WeaponReserved, WeaponRefused, WeaponIssued, WeaponReturned):
        assert any(isinstance(event, kind) for event in said), f"{kind.name} was never told"
    for one in hearings:
        await one.connection.close()


async def _busy(armory: Hearing, who: int) -> None:
    for turn in range(EACH):
        number, unit = 1 + who + AT_ONCE * turn, (who + turn) % UNITS + 1
        about = terms(number)
        orders: list[Message] = [
            validated(about),
            checked_in(about),
            IssueWeapon(booking=booking(number), weapon=weapon(unit), rounds=7),
            StockAmmunition(calibre=CALIBRE, rounds=2, lot=LOTS[0]),
            ReturnWeapon(booking=booking(number), weapon=weapon(unit), rounds_returned=5),
            finished(number),
        ]
        for message in orders:
            with suppress(Rejected, DeadlockDetectedError):  # the bus does again what was in a deadlock
                await armory.hears(message, by=AT_COUNTER)
            assert await breaches(armory.connection) == {}
