"""Booking driven at random, by legal and illegal commands, beside a small model that foresees each answer."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from bus.message import Message
from handlers.auth.events import LicenceRefused
from handlers.booking.commands import (
    AcceptOffer,
    BookSession,
    CancelBooking,
    CeaseFire,
    CheckIn,
    ExpireEntry,
    ExpireHold,
    FinishSession,
    JoinWaitlist,
    LeaveWaitlist,
    ReleaseNoShow,
    RescheduleBooking,
    ResumeFire,
    StartSession,
    TransferBooking,
)
from handlers.booking.events import LaneHeld, Terms, WaitlistOffered
from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import (
    ADA,
    ANNA,
    BEN,
    INA,
    SET_UP,
    clock,
    invoiced,
    open_lane,
    person,
    registered,
    validated,
)
from tests.handlers.booking.test_waitlist import FOLLOWED

T = TypeVar("T")
ACTIVE = frozenset({"held", "confirmed", "checked-in", "in-use"})
HALF_HOUR = timedelta(minutes=30)
people = st.sampled_from([ANNA, BEN])
lanes = st.sampled_from(["lane-1", "lane-2"])
times = st.tuples(st.integers(0, 6), st.integers(1, 2))
which = st.integers(0, 30)


@dataclass(frozen=True)
class Known:
    """A booking as the model has it."""

    person: UUID
    lane: str
    starts_at: datetime
    ends_at: datetime
    state: str
    since: datetime  # when its lane is taken from
    replaces: UUID | None = None

    def meets(self, starts_at: datetime, ends_at: datetime) -> bool:
        return self.state in ACTIVE and self.since < ends_at and starts_at < self.ends_at


class Machine(RuleBasedStateMachine):
    """Asks booking, and the model whether booking should agree."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.desk = Desk(self.run(self.database.connect("booking")))
        self.numbers = 0
        self.bookings: dict[UUID, Known] = {}
        self.terms: dict[UUID, Terms] = {}
        self.offers: dict[UUID, WaitlistOffered] = {}
        self.waiting: dict[UUID, UUID] = {}
        self.ceased = False
        self.run(self.desk.forget())
        self.run(self.desk.hears(registered(INA, "instructor"), registered(ADA, "admin"), SET_UP))
        self.run(self.desk.hears(open_lane("lane-1"), open_lane("lane-2")))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def number(self) -> UUID:
        self.numbers += 1
        return UUID(int=0xF00 + self.numbers)

    def ask(self, message: Message, by: UUID | str, event: str) -> bool:
        """Whether booking said the event; what it says to itself it hears as well."""
        actor = by if isinstance(by, str) else person(by)
        told = [one.message for one in self.run(self.desk.hears(message, by=actor))]
        agreed = event in {one.name for one in told}
        while told:
            one = told.pop(0)
            if isinstance(one, LaneHeld):
                self.terms[one.booking] = one.terms
            if isinstance(one, WaitlistOffered):
                self.offers[one.entry] = one
            if one.name in FOLLOWED:
                told += [more.message for more in self.run(self.desk.hears(one, by="service:booking"))]
        return agreed

    def pick(self, n: int) -> UUID | None:
        return list(self.bookings)[n % len(self.bookings)] if self.bookings else None

    def being_replaced(self, booking: UUID) -> bool:
        return any(one.replaces == booking and one.state == "held" for one in self.bookings.values())

    def free(
        self, who: UUID, lane: str, starts_at: datetime, ends_at: datetime, apart_from: UUID | None = None
    ) -> bool:
        others = [one for id_, one in self.bookings.items() if id_ != apart_from and one.meets(starts_at, ends_at)]
        offered = [
            one
            for one in self.offers.values()
            if one.lane == lane and one.starts_at < ends_at and starts_at < one.ends_at
        ]
        return not offered and not any(one.lane == lane or one.person == who for one in others)

    def move(self, booking: UUID, state: str) -> None:
        self.bookings[booking] = replace(self.bookings[booking], state=state)

    # What is asked

    @rule(minutes=st.sampled_from([10, 30, 60]))
    def time_goes_on(self, minutes: int) -> None:
        self.desk.later(minutes)

    @rule(who=people, lane=lanes, time=times)
    def book(self, who: UUID, lane: str, time: tuple[int, int]) -> None:
        starts_at = clock(13) + time[0] * HALF_HOUR
        ends_at, booking = starts_at + time[1] * HALF_HOUR, self.number()
        wish = BookSession(
            booking=booking, person=who, lane=lane, starts_at=starts_at, ends_at=ends_at, weapon_class="air"
        )
        foreseen = starts_at >= self.desk.at and self.free(who, lane, starts_at, ends_at)
        assert self.ask(wish, who, "booking.lane-held") == foreseen
        if foreseen:
            self.bookings[booking] = Known(who, lane, starts_at, ends_at, "held", starts_at)

    @precondition(lambda self: self.bookings)
    @rule(n=which, lane=lanes, time=times)
    def reschedule(self, n: int, lane: str, time: tuple[int, int]) -> None:
        old = self.pick(n)
        assert old is not None
        known, starts_at, new = self.bookings[old], clock(13) + time[0] * HALF_HOUR, self.number()
        ends_at = starts_at + time[1] * HALF_HOUR
        move = RescheduleBooking(replacement=new, booking=old, lane=lane, starts_at=starts_at, ends_at=ends_at)
        foreseen = (
            known.state == "confirmed"
            and not self.being_replaced(old)
            and self.desk.at < known.starts_at
            and starts_at >= self.desk.at
            and self.free(known.person, lane, starts_at, ends_at, old)
        )
        assert self.ask(move, known.person, "booking.lane-held") == foreseen
        if foreseen:
            self.bookings[new] = Known(known.person, lane, starts_at, ends_at, "held", starts_at, old)

    @precondition(lambda self: self.bookings)
    @rule(n=which)
    def all_agree(self, n: int) -> None:
        booking = self.pick(n)
        assert booking is not None
        known, terms = self.bookings[booking], self.terms[booking]
        self.ask(validated(terms), "service:auth", "")
        foreseen = known.state == "held"
        assert self.ask(invoiced(terms), "service:payment", "booking.booking-confirmed") == foreseen
        if foreseen:
            self.move(booking, "confirmed")
            if known.replaces is not None and self.bookings[known.replaces].state == "confirmed":
                self.move(known.replaces, "cancelled")

    @precondition(lambda self: self.bookings)
    @rule(n=which, expires=st.booleans())
    def refused_or_too_late(self, n: int, expires: bool) -> None:  # noqa: FBT001 - hypothesis names it
        booking = self.pick(n)
        assert booking is not None
        refusal = LicenceRefused(
            booking=booking, terms=self.terms[booking], rule="licence-expired", rule_version=1, reason="It ran out."
        )
        foreseen = self.bookings[booking].state == "held"
        message: Message = ExpireHold(booking=booking) if expires else refusal
        assert self.ask(message, "service:booking", "booking.booking-rejected") == foreseen
        if foreseen:
            self.move(booking, "rejected")

    @precondition(lambda self: self.bookings)
    @rule(n=which, who=st.sampled_from([ANNA, BEN, INA]))
    def cancel(self, n: int, who: UUID) -> None:
        booking = self.pick(n)
        assert booking is not None
        known = self.bookings[booking]
        foreseen = (
            who in {known.person, INA}
            and known.state in {"held", "confirmed", "checked-in"}
            and not self.being_replaced(booking)
        )
        assert self.ask(CancelBooking(booking=booking), who, "booking.booking-cancelled") == foreseen
        if foreseen:
            self.move(booking, "cancelled")

    @precondition(lambda self: self.bookings)
    @rule(n=which)
    def nobody_came(self, n: int) -> None:
        booking = self.pick(n)
        assert booking is not None
        foreseen = self.bookings[booking].state == "confirmed"
        assert self.ask(ReleaseNoShow(booking=booking), "service:booking", "booking.no-show-released") == foreseen
        if foreseen:
            self.move(booking, "no-show")

    @precondition(lambda self: self.bookings)
    @rule(n=which)
    def check_in(self, n: int) -> None:
        booking = self.pick(n)
        assert booking is not None
        known = self.bookings[booking]
        foreseen = (
            known.state == "confirmed"
            and not self.being_replaced(booking)
            and known.starts_at - timedelta(minutes=60) <= self.desk.at < known.ends_at
        )
        assert self.ask(CheckIn(booking=booking), known.person, "booking.shooter-checked-in") == foreseen
        if foreseen:
            self.move(booking, "checked-in")

    @precondition(lambda self: self.bookings)
    @rule(n=which)
    def start(self, n: int) -> None:
        booking = self.pick(n)
        assert booking is not None
        known, at = self.bookings[booking], self.desk.at
        others = [
            one
            for id_, one in self.bookings.items()
            if id_ != booking and one.state in ACTIVE and (one.lane == known.lane or one.person == known.person)
        ]
        foreseen = (
            known.state == "checked-in"
            and at < known.ends_at
            and not self.ceased
            and not any(one.state == "in-use" for one in others)
            and not any(one.since < known.starts_at and one.ends_at > at for one in others)
        )
        assert self.ask(StartSession(booking=booking), known.person, "booking.session-started") == foreseen
        if foreseen:
            self.bookings[booking] = replace(known, state="in-use", since=min(known.since, at))

    @precondition(lambda self: self.bookings)
    @rule(n=which)
    def finish(self, n: int) -> None:
        booking = self.pick(n)
        assert booking is not None
        foreseen = self.bookings[booking].state == "in-use"
        assert self.ask(FinishSession(booking=booking), INA, "booking.session-finished") == foreseen
        if foreseen:
            self.move(booking, "finished")

    @precondition(lambda self: self.bookings)
    @rule(n=which, lane=lanes)
    def transfer(self, n: int, lane: str) -> None:
        booking = self.pick(n)
        assert booking is not None
        known = self.bookings[booking]
        foreseen = (
            known.state in {"confirmed", "checked-in"}
            and not self.being_replaced(booking)
            and self.free(known.person, lane, known.starts_at, known.ends_at, booking)
        )
        asked = TransferBooking(booking=booking, lane=lane)
        assert self.ask(asked, INA, "booking.booking-transferred") == foreseen
        if foreseen:
            self.bookings[booking] = replace(known, lane=lane)

    @rule()
    def cease_fire(self) -> None:
        asked = CeaseFire(range="hall", reason="alarm")
        assert self.ask(asked, INA, "booking.cease-fire-ordered") == (not self.ceased)
        self.ceased = True

    @rule()
    def resume_fire(self) -> None:
        assert self.ask(ResumeFire(range="hall"), INA, "booking.fire-resumed") == self.ceased
        self.ceased = False

    @rule(who=people, time=times)
    def wait_for(self, who: UUID, time: tuple[int, int]) -> None:
        starts_at, entry = clock(13) + time[0] * HALF_HOUR, self.number()
        join = JoinWaitlist(
            entry=entry,
            person=who,
            range="hall",
            discipline="air-pistol-10m",
            starts_at=starts_at,
            ends_at=starts_at + time[1] * HALF_HOUR,
            weapon_class="air",
        )
        if self.ask(join, who, "booking.waitlist-joined"):
            self.waiting[entry] = who

    @precondition(lambda self: self.waiting)
    @rule(n=which, how=st.sampled_from(["accept", "leave", "lapse"]))
    def answer_an_offer(self, n: int, how: str) -> None:
        entry = list(self.waiting)[n % len(self.waiting)]
        who, offer, booking = self.waiting[entry], self.offers.get(entry), self.number()
        if how == "accept":
            kept = None if offer is None else self.offers.pop(entry)
            foreseen = (
                kept is not None
                and self.desk.at < kept.offered_until
                and self.free(who, kept.lane, kept.starts_at, kept.ends_at)
            )
            if kept is not None and not foreseen:
                self.offers[entry] = kept
            assert self.ask(AcceptOffer(booking=booking, entry=entry), who, "booking.lane-held") == foreseen
            if foreseen:
                assert kept is not None
                self.bookings[booking] = Known(who, kept.lane, kept.starts_at, kept.ends_at, "held", kept.starts_at)
                del self.waiting[entry]
            return
        self.offers.pop(entry, None)
        message: Message = LeaveWaitlist(entry=entry) if how == "leave" else ExpireEntry(entry=entry)
        assert self.ask(message, who, f"booking.waitlist-{'left' if how == 'leave' else 'lapsed'}")
        del self.waiting[entry]

    # What holds whatever is asked

    @invariant()
    def booking_is_where_the_model_is(self) -> None:
        rows = self.run(self.desk.connection.fetch("SELECT booking, state, lane FROM booking"))
        assert {row["booking"]: (row["state"], row["lane"]) for row in rows} == {
            id_: (one.state, one.lane) for id_, one in self.bookings.items()
        }

    @invariant()
    def nothing_is_taken_or_offered_twice(self) -> None:
        broken = self.run(
            self.desk.connection.fetch(
                """
                WITH taken AS (
                    SELECT booking AS id, lane, person, taken, claim FROM booking
                    WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use')
                    UNION ALL
                    SELECT entry, offered_lane, NULL, offered_taken, entry FROM waitlist_entry WHERE state = 'offered'
                )
                SELECT a.id, b.id FROM taken AS a JOIN taken AS b ON a.id < b.id AND a.claim <> b.claim
                WHERE a.taken && b.taken AND (a.lane = b.lane OR a.person = b.person)
                """
            )
        )
        assert broken == []

    @invariant()
    def shooters_are_taken_just_while_their_bookings_are_active(self) -> None:
        rows = self.run(self.desk.connection.fetch("SELECT booking, person, lower(during) FROM shooter_time"))
        assert {tuple(row) for row in rows} == {
            (id_, one.person, one.since) for id_, one in self.bookings.items() if one.state in ACTIVE
        }

    def teardown(self) -> None:
        events, rows = self.desk.events, self.run(self.desk.rows())
        self.run(self.desk.forget())
        self.run(self.desk.replay(events))
        rebuilt = self.run(self.desk.rows())
        self.run(self.desk.connection.close())
        self.loop.close()
        assert rebuilt == rows


@pytest.mark.timeout(300)
async def test_booking_does_what_a_small_model_of_it_foresees(database: Database) -> None:
    """In a thread of its own, as the machine has a loop of its own."""
    Machine.database = database
    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
