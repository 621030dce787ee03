"""The waiting list: who is next in line gets a lane that came free, for a time and alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.service import Effect, Given, Schedule, Unschedule
from handlers.booking.commands import AcceptOffer, BookSession, ExpireEntry, JoinWaitlist, LeaveWaitlist
from handlers.booking.events import (
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOfferAccepted,
    WaitlistOffered,
)
from handlers.booking.model.bookings import LONGEST, hold
from handlers.booking.model.hours import Span
from handlers.booking.model.rules import (
    AlreadyWaiting,
    AskedBefore,
    EndsBeforeStart,
    NoLongerWaiting,
    NoOfferMade,
    NoSuchLanes,
    NotForOthers,
    NotOnTheList,
    OfferOver,
    RangeUnknown,
    TimePast,
    TooFarAhead,
    TooLong,
    TooManyEntries,
)
from handlers.booking.model.states import Staff, Wish, shown

MOST_ENTRIES: Final = 10
LEAST_TIME_TO_ANSWER: Final = timedelta(minutes=5)


class Waiting(StrEnum):
    """Where an entry stands: waiting leads to offered, offered to accepted; both to lapsed and left."""

    WAITING = "waiting"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    LAPSED = "lapsed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Joining:
    """All that joining is decided on."""

    taken: bool  # an entry of this id exists
    time_zone: str | None  # none: there is no such range
    horizon: timedelta
    lanes: int  # that would do
    overlapping: bool  # the shooter waits for such a time already
    entries: int  # for how many times the shooter waits
    staff: Staff


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the list."""

    entry: UUID
    person: UUID
    state: Waiting
    lane: str | None  # that is offered
    starts_at: datetime
    ends_at: datetime
    weapon_class: str
    weapon_type: str | None
    rounds: int
    calibre: str | None
    energy_j: int | None
    offered_until: datetime | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class EntryCase:
    """An entry that somebody wants something done with, and all that its booking would be decided on."""

    entry: Entry | None
    wish: Wish | None  # where there is an offer
    staff: Staff


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody in line for a time that came free, and the lanes that are free then."""

    entry: UUID
    person: UUID
    during: Span
    taken: Span  # with the range's buffers
    lanes: tuple[str, ...]
    notice: timedelta
    offer: timedelta


def entry_key(entry: UUID) -> str:
    return f"waitlist:{entry}"


def join_waitlist(case: Joining, command: JoinWaitlist, given: Given) -> Sequence[Effect]:
    if case.taken:
        raise AskedBefore
    if not case.staff.asked_for(command.person, given):
        raise NotForOthers
    if case.time_zone is None:
        raise RangeUnknown(range=command.range)
    if not case.lanes:
        raise NoSuchLanes(discipline=command.discipline, weapon_class=command.weapon_class)
    _check_time(case, command, given)
    if case.overlapping:
        raise AlreadyWaiting
    if case.entries >= MOST_ENTRIES:
        raise TooManyEntries(most=MOST_ENTRIES)
    return [
        WaitlistJoined(**dict(command), joined_at=given.asked_at),
        Schedule(entry_key(command.entry), command.starts_at, ExpireEntry(entry=command.entry)),
    ]


def _check_time(case: Joining, command: JoinWaitlist, given: Given) -> None:
    assert case.time_zone is not None
    if command.ends_at <= command.starts_at:
        raise EndsBeforeStart
    if command.starts_at <= given.at:
        raise TimePast(starts=shown(command.starts_at, ZoneInfo(case.time_zone)))
    if command.starts_at > given.at + case.horizon:
        raise TooFarAhead(days=case.horizon.days)
    if command.ends_at - command.starts_at > LONGEST:
        raise TooLong(hours=LONGEST // timedelta(hours=1))


def offer_places(in_line: Sequence[Candidate], _: object, given: Given) -> Sequence[Effect]:
    """Offers to each in line, in order, what those before were not offered; there must be time to answer."""
    effects: list[Effect] = []
    offered: list[tuple[str, UUID, Candidate]] = []
    for one in in_line:
        until = min(given.at + one.offer, one.during.starts_at - one.notice)
        if until < given.at + LEAST_TIME_TO_ANSWER or any(
            person == one.person and _meet(one.during, other.during) for _, person, other in offered
        ):
            continue
        gone = {lane for lane, _, other in offered if _meet(one.taken, other.taken)}
        lane = next((lane for lane in one.lanes if lane not in gone), None)
        if lane is None:
            continue
        offered.append((lane, one.person, one))
        effects += [
            WaitlistOffered(
                entry=one.entry,
                person=one.person,
                lane=lane,
                starts_at=one.during.starts_at,
                ends_at=one.during.ends_at,
                taken_from=one.taken.starts_at,
                taken_until=one.taken.ends_at,
                offered_until=until,
            ),
            Schedule(entry_key(one.entry), until, ExpireEntry(entry=one.entry)),
        ]
    return effects


def _meet(one: Span, other: Span) -> bool:
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def accept_offer(case: EntryCase, command: AcceptOffer, given: Given) -> Sequence[Effect]:
    """Hold what was kept for the shooter; from here on it is a booking like any other."""
    entry = _known(case, given)
    if entry.state is Waiting.WAITING:
        raise NoOfferMade
    if entry.state is not Waiting.OFFERED or case.wish is None or entry.lane is None or entry.offered_until is None:
        raise NoLongerWaiting(state=entry.state)
    if given.asked_at >= entry.offered_until:
        raise OfferOver(until=shown(entry.offered_until, ZoneInfo(entry.time_zone)))
    if case.wish.taken:
        raise AskedBefore
    wished = BookSession(
        booking=command.booking,
        person=entry.person,
        lane=entry.lane,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        weapon_class=entry.weapon_class,
        weapon_type=entry.weapon_type,
        rounds=entry.rounds,
        calibre=entry.calibre,
        energy_j=entry.energy_j,
    )
    held = hold(case.wish, wished, given)
    accepted = WaitlistOfferAccepted(entry=entry.entry, person=entry.person, booking=command.booking)
    return [accepted, Unschedule(entry_key(entry.entry)), *held]


def leave_waitlist(case: EntryCase, command: LeaveWaitlist, given: Given) -> Sequence[Effect]:
    entry = _known(case, given)
    if entry.state not in {Waiting.WAITING, Waiting.OFFERED}:
        raise NoLongerWaiting(state=entry.state)
    return [
        WaitlistLeft(entry=command.entry, person=entry.person, left_by=given.actor),
        Unschedule(entry_key(command.entry)),
    ]


def expire_entry(case: EntryCase, command: ExpireEntry, _: Given) -> Sequence[Effect]:
    entry = case.entry
    if entry is None or entry.state not in {Waiting.WAITING, Waiting.OFFERED}:
        raise NoLongerWaiting(state="over" if entry is None else entry.state)
    return [WaitlistLapsed(entry=command.entry, person=entry.person)]


def _known(case: EntryCase, given: Given) -> Entry:
    if case.entry is None or not case.staff.asked_for(case.entry.person, given):
        raise NotOnTheList
    return case.entry
