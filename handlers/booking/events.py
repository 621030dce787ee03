"""What booking tells."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus import answers
from bus.fields import Code, Currency, Minor, Moment, Rounds, Text
from bus.message import Event


class OpeningHours(BaseModel):
    """A span of one weekday in which the range is open, in the range's own time zone.

    Minutes are counted from midnight; 1440 is the end of the day.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weekday: int = Field(ge=1, le=7, description="ISO weekday: 1 is Monday")
    opens_minute: int = Field(ge=0, le=1439)
    closes_minute: int = Field(ge=1, le=1440)


class CancellationFee(BaseModel):
    """What it costs to cancel with less notice than this."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    notice_minutes: int = Field(ge=1, le=60 * 24 * 60)
    permille: int = Field(ge=1, le=1000, description="of the booking's price")


class OpenSpan(BaseModel):
    """A span of one day in which the range is open, in minutes of the range's clock since midnight."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    opens_minute: int = Field(ge=0, le=1439)
    closes_minute: int = Field(ge=1, le=1440)


class DayException(BaseModel):
    """A day that is unlike its weekday; without a span the range is closed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    day: date
    open: tuple[OpenSpan, ...] = Field(default=(), max_length=3)


class Holidays(BaseModel):
    """The public holidays of a country or a part of it, and when the range is open on them: never, if no span says."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1, like `DE`")
    subdivision: str | None = Field(
        default=None, pattern=r"^[A-Z0-9]{1,3}$", description="the part of ISO 3166-2 after the dash, like `BY`"
    )
    open: tuple[OpenSpan, ...] = Field(default=(), max_length=3)


class Policy(BaseModel):
    """The range's house rules for bookings. Days are of the range's time zone."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    exceptions: tuple[DayException, ...] = Field(
        default=(), max_length=366, description="these days, whatever weekday or holiday they are"
    )
    holidays: Holidays | None = None
    buffer_before_minutes: int = Field(default=0, ge=0, le=240, description="a lane is taken so long before a booking")
    buffer_after_minutes: int = Field(default=0, ge=0, le=240, description="and so long after it")
    minimum_notice_minutes: int = Field(
        default=0, ge=0, le=60 * 24 * 60, description="how long before its begin a time must be booked; not by staff"
    )
    horizon_days: int = Field(default=366, ge=1, le=366, description="how far ahead a time can be booked")
    last_start_minutes: int = Field(
        default=0, ge=0, le=720, description="how long before closing a session must begin at the latest"
    )
    cancellation_fees: tuple[CancellationFee, ...] = Field(
        default=(), max_length=10, description="the dearest that the notice falls short of applies; none: it is free"
    )
    waitlist_offer_minutes: int = Field(
        default=60, ge=1, le=24 * 60, description="how long a lane that came free is kept for the next in line"
    )
    overtime_grace_minutes: int | None = Field(
        default=None, ge=0, le=240, description="a session that lasts longer pays for all of its overtime; none: nobody"
    )


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
    replaces: UUID | None = Field(default=None, description="the booking that gives way once this one is confirmed")
    participants: tuple[UUID, ...] = Field(default=(), description="who shoots on the lane besides the person")
    calibre: Text | None = Field(default=None, description="of the shooter's own weapon, as was said")
    energy_j: int | None = Field(default=None, description="of its cartridges at the muzzle, as was said")


ClosureReason = Literal["maintenance", "damage", "inspection", "event", "training", "other"]
"""Why a lane is closed."""


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
    policy: Policy = Policy()


class LaneOpened(Event, name="booking.lane-opened", stream="lane:{lane}"):
    """A lane can be booked."""

    range: Code
    lane: Code
    distance_m: int
    discipline: Code
    weapon_classes: tuple[Code, ...]
    target_address: Text | None
    capacity: int = 1
    calibres: tuple[Text, ...] = ()
    most_energy_j: int | None = None


class LaneClosed(Event, name="booking.lane-closed", stream="lane:{lane}"):
    """A lane cannot be booked for a time."""

    closure: UUID
    lane: Code
    starts_at: Moment
    ends_at: Moment
    reason: ClosureReason
    closed_by: Text


class LaneReopened(Event, name="booking.lane-reopened", stream="lane:{lane}"):
    """A closure of a lane is over, or does not take place."""

    closure: UUID
    lane: Code
    reopened_by: Text


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
    claim: UUID | None = Field(
        default=None, description="bookings of one claim are in nobody's way but others'; none: its own"
    )
    taken_from: Moment | None = Field(default=None, description="since when the lane is taken; none: from the begin")
    taken_until: Moment | None = Field(default=None, description="until when it is taken; none: to the end")
    series: UUID | None = None


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
    replaced_by: UUID | None = None


class EntitlementLost(Event, name="booking.entitlement-lost", stream="booking:{booking}"):
    """The shooter's licences cover the session no more, and it has begun or a weapon is out: staff must end it."""

    booking: UUID
    person: UUID
    lane: Code
    rule: str
    rule_version: int
    reason: Text
    lost_at: Moment


class CancellationFeeCharged(Event, name="booking.cancellation-fee-charged", stream="booking:{booking}"):
    """The booking was called off too late to be free of charge."""

    booking: UUID
    terms: Terms
    notice_minutes: int = Field(description="how long before its begin; 0: not before")
    permille: int
    amount_minor: Minor
    currency: Currency


class ParticipantAdded(Event, name="booking.participant-added", stream="booking:{booking}"):
    """Somebody else shoots on the lane as well."""

    booking: UUID
    person: UUID
    participant: UUID


class ParticipantRemoved(Event, name="booking.participant-removed", stream="booking:{booking}"):
    """Somebody does not come along; the booking stands for the others."""

    booking: UUID
    person: UUID
    participant: UUID


class BookingTransferred(Event, name="booking.booking-transferred", stream="booking:{booking}"):
    """The booking has another lane, before its session began."""

    booking: UUID
    person: UUID
    from_lane: Code
    lane: Code
    transferred_by: Text


class SeriesBooked(Event, name="booking.series-booked", stream="series:{series}"):
    """Lanes are held for all times of a series; each booking is confirmed or refused by itself."""

    series: UUID
    person: UUID
    bookings: tuple[UUID, ...]
    skipped: tuple[Moment, ...] = Field(description="begins of times that were taken or closed and left out")


class SeriesCancelled(Event, name="booking.series-cancelled", stream="series:{series}"):
    """What was to come of a series was called off."""

    series: UUID
    person: UUID
    bookings: tuple[UUID, ...]
    cancelled_by: Text


class WaitlistJoined(Event, name="booking.waitlist-joined", stream="waitlist:{entry}"):
    """Somebody waits for a lane at a time when none was free."""

    entry: UUID
    person: UUID
    range: Code
    discipline: Code
    lane: Code | None = Field(description="none: any of the discipline")
    starts_at: Moment
    ends_at: Moment
    weapon_class: Code
    weapon_type: Code | None
    rounds: Rounds
    calibre: Text | None
    energy_j: int | None
    joined_at: Moment


class WaitlistOffered(Event, name="booking.waitlist-offered", stream="waitlist:{entry}"):
    """A lane came free and is kept for the next in line, and for nobody else, until they answer or the time is up."""

    entry: UUID
    person: UUID
    lane: Code
    starts_at: Moment
    ends_at: Moment
    taken_from: Moment
    taken_until: Moment
    offered_until: Moment


class WaitlistOfferAccepted(Event, name="booking.waitlist-offer-accepted", stream="waitlist:{entry}"):
    """The offer became a wish to book."""

    entry: UUID
    person: UUID
    booking: UUID


class WaitlistLapsed(Event, name="booking.waitlist-lapsed", stream="waitlist:{entry}"):
    """An offer was not taken in time, or none could be made before the time that was waited for."""

    entry: UUID
    person: UUID


class WaitlistLeft(Event, name="booking.waitlist-left", stream="waitlist:{entry}"):
    """Somebody waits no more."""

    entry: UUID
    person: UUID
    left_by: Text


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


class OvertimeCharged(Event, name="booking.overtime-charged", stream="booking:{booking}"):
    """The session lasted beyond its time and the grace that is given."""

    booking: UUID
    terms: Terms
    minutes: int
    finished_at: Moment


class NoShowReleased(Event, name="booking.no-show-released", stream="booking:{booking}"):
    """The shooter did not come; the lane is free again."""

    booking: UUID
    person: UUID


class CommandRejected(answers.CommandRejected, name="booking.command-rejected", stream="{about}", rejects="command"):
    """Booking refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="booking.command-failed", stream="{about}", fails="command"):
    """Booking could not carry out a command because of a fault."""
