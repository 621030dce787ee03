"""What booking tells."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus import answers
from bus.fields import Code, Moment, Rounds, Text
from bus.message import Event


class OpeningHours(BaseModel):
    """A span of one weekday in which the range is open, in the range's own time zone.

    Minutes are counted from midnight; 1440 is the end of the day.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weekday: int = Field(ge=1, le=7, description="ISO weekday: 1 is Monday")
    opens_minute: int = Field(ge=0, le=1439)
    closes_minute: int = Field(ge=1, le=1440)


class Terms(BaseModel):
    """What a booking is about; whoever answers a request repeats it, so that nobody has to look it up."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    booking: UUID
    command: UUID
    person: UUID
    range: Code
    lane: Code
    discipline: Code
    starts_at: Moment
    ends_at: Moment
    weapon_class: Code
    weapon_type: Code | None
    rounds: Rounds


class RangeSetUp(Event, name="booking.range-set-up", stream="range:{range}"):
    """A range was opened, or how it is run was changed."""

    range: Code
    title: Text
    time_zone: Text
    opening_hours: tuple[OpeningHours, ...]
    slot_minutes: int
    hold_seconds: int
    early_check_in_minutes: int
    no_show_minutes: int


class LaneOpened(Event, name="booking.lane-opened", stream="lane:{lane}"):
    """A lane can be booked."""

    range: Code
    lane: Code
    distance_m: int
    discipline: Code
    weapon_classes: tuple[Code, ...]
    target_address: Text | None


CeaseFireReason = Literal["person-on-the-range", "injury", "malfunction", "unsafe-handling", "alarm", "other"]
"""Why fire ceases."""


class CeaseFireOrdered(Event, name="booking.cease-fire-ordered", stream="range:{range}"):
    """Cease fire on all lanes of a range."""

    range: Code
    cease_fire: UUID
    lanes: tuple[Code, ...]
    reason: CeaseFireReason
    ordered_by: Text
    ordered_at: Moment = Field(description="when it came into the log; shots after it are marked")


class FireResumed(Event, name="booking.fire-resumed", stream="range:{range}"):
    """The range goes on."""

    range: Code
    cease_fire: UUID
    resumed_by: Text
    resumed_at: Moment


class LaneHeld(Event, name="booking.lane-held", stream="booking:{booking}"):
    """A lane is held for a shooter until the others have agreed."""

    booking: UUID
    terms: Terms
    held_until: Moment
    no_show_at: Moment


class BookingConfirmed(Event, name="booking.booking-confirmed", stream="booking:{booking}", concludes="command"):
    """The booking stands."""

    booking: UUID
    command: UUID
    terms: Terms
    invoice: UUID
    total_minor: int
    currency: str


class BookingRejected(Event, name="booking.booking-rejected", stream="booking:{booking}", rejects="command"):
    """The booking was refused; whatever was held for it is free again."""

    booking: UUID
    command: UUID
    refused_by: Literal["auth", "booking", "armory", "payment"]
    rule: str
    rule_version: int
    reason: Text


class BookingCancelled(Event, name="booking.booking-cancelled", stream="booking:{booking}"):
    """The booking was called off before the session began."""

    booking: UUID
    person: UUID
    cancelled_by: Text
    rule: str | None = None  # this and the next two where a rule called it off, and no person
    rule_version: int | None = None
    reason: Text | None = None


class EntitlementLost(Event, name="booking.entitlement-lost", stream="booking:{booking}"):
    """The shooter's licences cover the session no more, and it has begun or a weapon is out: staff must end it."""

    booking: UUID
    person: UUID
    lane: Code
    rule: str
    rule_version: int
    reason: Text
    lost_at: Moment


class ShooterCheckedIn(Event, name="booking.shooter-checked-in", stream="booking:{booking}"):
    """The shooter has come."""

    booking: UUID
    person: UUID
    terms: Terms
    checked_in_at: Moment


class SessionStarted(Event, name="booking.session-started", stream="booking:{booking}"):
    """The shooter has begun."""

    booking: UUID
    person: UUID
    lane: Code
    discipline: Code
    started_at: Moment


class SessionFinished(Event, name="booking.session-finished", stream="booking:{booking}"):
    """The instructor has closed the session."""

    booking: UUID
    person: UUID
    lane: Code
    finished_at: Moment
    finished_by: Text


class NoShowReleased(Event, name="booking.no-show-released", stream="booking:{booking}"):
    """The shooter did not come; the lane is free again."""

    booking: UUID
    person: UUID


class CommandRejected(answers.CommandRejected, name="booking.command-rejected", stream="{about}", rejects="command"):
    """Booking refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="booking.command-failed", stream="{about}", fails="command"):
    """Booking could not carry out a command because of a fault."""
