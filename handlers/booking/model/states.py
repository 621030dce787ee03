"""What a decision of booking starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.service import Given
from handlers.booking.events import OpeningHours, Policy, Terms
from handlers.booking.model.hours import Span


class State(StrEnum):
    """Where a booking stands; the drawing is in the README."""

    HELD = "held"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked-in"
    IN_USE = "in-use"
    FINISHED = "finished"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    NO_SHOW = "no-show"


STAFF: Final = frozenset({"instructor", "armourer", "cashier", "admin"})
INSTRUCTORS: Final = frozenset({"instructor", "admin"})
ADMINS: Final = frozenset({"admin"})
PLAIN: Final = Policy()


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works at the range, and as what."""

    roles: Mapping[UUID, frozenset[str]]

    def asked_by(self, roles: frozenset[str], given: Given) -> bool:
        """Whether somebody in one of these roles asked, or one of the range's own services."""
        if given.person is None:
            return given.actor.startswith("service:")
        return not roles.isdisjoint(self.roles.get(given.person, frozenset()))

    def asked_for(self, person: UUID, given: Given) -> bool:
        """Whether who asked may do so for this person: the person, or staff."""
        return given.person == person or self.asked_by(STAFF, given)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane, and how its range is run."""

    lane: str
    range: str
    discipline: str
    weapon_classes: frozenset[str]
    time_zone: str
    opening_hours: tuple[OpeningHours, ...]
    slot: timedelta
    hold: timedelta
    no_show_after: timedelta
    capacity: int = 1
    calibres: frozenset[str] = frozenset()  # none: any
    most_energy_j: int | None = None
    policy: Policy = PLAIN

    def taken(self, asked: Span) -> Span:
        """When a booking takes the lane: its time, and the buffers before and after."""
        before, after = (
            timedelta(minutes=one) for one in (self.policy.buffer_before_minutes, self.policy.buffer_after_minutes)
        )
        return Span(asked.starts_at - before, asked.ends_at + after)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class Clash:
    """An active booking of the same lane, or of the same shooter on another; or a time for which the lane is closed."""

    lane: str
    during: Span
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """All that BookSession is decided on."""

    taken: bool  # a booking of this id exists
    lane: Lane | None
    weapon_class: str | None  # of the weapon type asked for, if the club has it
    clash: Clash | None
    staff: Staff
    not_entitled: frozenset[UUID] = frozenset()  # of the participants: who may not shoot that then
    calibre: str | None = None  # of the weapon type asked for, if the armory has told


@dataclass(frozen=True, slots=True)
class ClosingCase:
    """All that closing a lane and opening it again is decided on."""

    time_zone: str | None  # none: there is no such lane
    met: Span | None  # a booking of the lane in the time asked for
    closures: frozenset[UUID]
    staff: Staff


@dataclass(frozen=True, slots=True)
class RangeCase:
    """All that setting up a range or a lane is decided on."""

    range_known: bool
    lane_in: str | None  # the range that a lane of this name stands in
    staff: Staff


@dataclass(frozen=True, slots=True)
class Ceased:
    """The cease fire that holds on a range."""

    cease_fire: UUID
    since: datetime
    time_zone: str

    @property
    def shown(self) -> str:
        return shown(self.since, ZoneInfo(self.time_zone))


@dataclass(frozen=True, slots=True)
class FiringCase:
    """All that cease fire and its end are decided on."""

    time_zone: str | None  # none: there is no such range
    lanes: tuple[str, ...]
    ceased: Ceased | None
    staff: Staff


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as it stands, with what others have said about it."""

    terms: Terms
    state: State
    held_until: datetime
    no_show_at: datetime
    agreed: frozenset[str]  # the services that have said yes
    weapon_out: bool
    time_zone: str
    early_check_in: timedelta
    entitlement_lost: bool = False
    claim: UUID | None = None  # none: its own
    being_replaced: bool = False  # a booking that is to take its place is held
    replaced_stands: bool = True  # the booking that it replaces, if any, is confirmed still
    total_minor: int | None = None
    currency: str | None = None
    policy: Policy = PLAIN

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def clock(self, moment: datetime) -> str:
        return shown(moment, self.zone)


@dataclass(frozen=True, slots=True)
class Case:
    """A booking that somebody wants something done with, if there is one."""

    booking: Booking | None
    staff: Staff


@dataclass(frozen=True, slots=True)
class Rescheduling:
    """A booking that is to be moved, and all that the new one is decided on."""

    case: Case
    wish: Wish


@dataclass(frozen=True, slots=True)
class ShareCase:
    """A booking whose participants change, its lane, and what is in the way of the one who comes."""

    case: Case
    lane: Lane | None
    clash: Clash | None
    entitled: bool


@dataclass(frozen=True, slots=True)
class StartCase:
    """The same, and who else is on the lane or expects it to be free."""

    case: Case
    lane_in_use: bool
    shooter_in_session: bool
    before: Clash | None  # of the lane's and the shooter's other active bookings that come earlier, the last to end
    ceased: Ceased | None = None  # the cease fire that holds on the range


def shown(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"
