"""What booking can be asked."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from bus.fields import Code, Moment, Rounds, Text
from bus.message import Command
from handlers.booking.events import CeaseFireReason, ClosureReason, OpeningHours, Policy

Calibre = Annotated[Text, Field(max_length=40)]
"""What fits a barrel, as it is written on the box: `4.5 mm`, `.22 LR`."""


class SetUpRange(Command, name="booking.set-up-range", stream="range:{range}"):
    """Open a range, or change how an open one is run."""

    range: Code
    title: Text
    time_zone: Text
    opening_hours: tuple[OpeningHours, ...] = Field(max_length=21)
    slot_minutes: int = Field(ge=1, le=240)
    hold_seconds: int = Field(ge=1, le=3600)
    early_check_in_minutes: int = Field(ge=0, le=7 * 24 * 60)
    no_show_minutes: int = Field(ge=1, le=24 * 60)
    policy: Policy = Policy()


class OpenLane(Command, name="booking.open-lane", stream="lane:{lane}"):
    """Open a lane for booking, with the target that stands on it."""

    range: Code
    lane: Code
    distance_m: int = Field(ge=1, le=2000)
    discipline: Code
    weapon_classes: tuple[Code, ...] = Field(min_length=1, max_length=20)
    target_address: Text | None = None
    capacity: int = Field(default=1, ge=1, le=20, description="how many shoot on it at once")
    calibres: tuple[Calibre, ...] = Field(default=(), max_length=50, description="that may be fired; none: any")
    most_energy_j: int | None = Field(
        default=None, ge=1, le=50_000, description="at the muzzle, that its backstop holds; none: any"
    )


class CloseLane(Command, name="booking.close-lane", stream="lane:{lane}"):
    """Close a lane for a time in which nothing is booked on it."""

    closure: UUID
    lane: Code
    starts_at: Moment
    ends_at: Moment
    reason: ClosureReason


class ReopenLane(Command, name="booking.reopen-lane", stream="lane:{lane}"):
    """End a closure of a lane."""

    lane: Code
    closure: UUID


class CeaseFire(Command, name="booking.cease-fire", stream="range:{range}", urgent=True):
    """Order cease fire on all lanes of a range; nothing begins there until fire is resumed."""

    range: Code
    reason: CeaseFireReason


class ResumeFire(Command, name="booking.resume-fire", stream="range:{range}"):
    """Let a range go on after a cease fire."""

    range: Code


class BookSession(Command, name="booking.book-session", stream="booking:{booking}", about="booking"):
    """Book a lane for a time, with a club weapon or one's own."""

    booking: UUID
    person: UUID
    lane: Code
    starts_at: Moment
    ends_at: Moment
    weapon_class: Code
    weapon_type: Code | None = None
    rounds: Rounds = 0
    participants: tuple[UUID, ...] = Field(
        default=(), max_length=19, description="who shoots on the lane besides the person"
    )
    calibre: Calibre | None = Field(default=None, description="of one's own weapon, where the lane is limited")
    energy_j: int | None = Field(default=None, ge=1, le=50_000, description="of its cartridges at the muzzle")


class CancelBooking(Command, name="booking.cancel-booking", stream="booking:{booking}", about="booking"):
    """Cancel a booking; at short notice that may cost a fee."""

    booking: UUID
    waive_fee: bool = Field(default=False, description="staff only")


class RescheduleBooking(
    Command, name="booking.reschedule-booking", stream="booking:{replacement}", about="replacement"
):
    """Move a confirmed booking to another time or lane: it stands until the new one is confirmed in its place."""

    replacement: UUID
    booking: UUID
    lane: Code
    starts_at: Moment
    ends_at: Moment


class AddParticipant(Command, name="booking.add-participant", stream="booking:{booking}", about="booking"):
    """Let somebody else shoot on the lane of a booking as well."""

    booking: UUID
    participant: UUID


class RemoveParticipant(Command, name="booking.remove-participant", stream="booking:{booking}", about="booking"):
    """Take one participant out of a booking, which stands for the others."""

    booking: UUID
    participant: UUID


class TransferBooking(Command, name="booking.transfer-booking", stream="booking:{booking}", about="booking"):
    """Give a booking another lane for the same time, before its session begins."""

    booking: UUID
    lane: Code


class BookSeries(Command, name="booking.book-series", stream="series:{series}", about="series"):
    """Book the same time of several weeks, for clubs and courses also on several lanes; all of it or nothing."""

    series: UUID
    person: UUID
    lanes: tuple[Code, ...] = Field(min_length=1, max_length=20)
    starts_at: Moment = Field(description="of the first week; the others begin when the range's clocks show the same")
    ends_at: Moment
    weeks: int = Field(ge=1, le=53)
    every_weeks: int = Field(default=1, ge=1, le=4)
    weapon_class: Code
    weapon_type: Code | None = None
    rounds: Rounds = 0
    calibre: Calibre | None = None
    energy_j: int | None = Field(default=None, ge=1, le=50_000)
    skip_taken: bool = Field(default=False, description="leave out times that are taken or closed, and book the others")


class CancelSeries(Command, name="booking.cancel-series", stream="series:{series}", about="series"):
    """Cancel all of a series that has not begun; at short notice that may cost fees."""

    series: UUID
    waive_fee: bool = Field(default=False, description="staff only")


class JoinWaitlist(Command, name="booking.join-waitlist", stream="waitlist:{entry}", about="entry"):
    """Wait for a lane at a time: the first in line gets an offer when one comes free."""

    entry: UUID
    person: UUID
    range: Code
    discipline: Code
    lane: Code | None = Field(default=None, description="none: any of the discipline")
    starts_at: Moment
    ends_at: Moment
    weapon_class: Code
    weapon_type: Code | None = None
    rounds: Rounds = 0
    calibre: Calibre | None = None
    energy_j: int | None = Field(default=None, ge=1, le=50_000)


class LeaveWaitlist(Command, name="booking.leave-waitlist", stream="waitlist:{entry}", about="entry"):
    """Wait no more, or decline an offer."""

    entry: UUID


class AcceptOffer(Command, name="booking.accept-offer", stream="booking:{booking}", about="booking"):
    """Book the lane that was offered."""

    booking: UUID
    entry: UUID


class ExpireEntry(Command, name="booking.expire-entry", stream="waitlist:{entry}", about="entry"):
    """End an offer that nobody took, or a wait that came to nothing."""

    entry: UUID


class CheckIn(Command, name="booking.check-in", stream="booking:{booking}", about="booking"):
    """Note that the shooter has come."""

    booking: UUID


class StartSession(Command, name="booking.start-session", stream="booking:{booking}", about="booking"):
    """Begin shooting."""

    booking: UUID


class FinishSession(Command, name="booking.finish-session", stream="booking:{booking}", about="booking"):
    """End the session, once the weapon is back."""

    booking: UUID


class ExpireHold(Command, name="booking.expire-hold", stream="booking:{booking}", about="booking"):
    """Let go of a lane whose booking was not confirmed in time."""

    booking: UUID


class ReleaseNoShow(Command, name="booking.release-no-show", stream="booking:{booking}", about="booking"):
    """Release the lane of a shooter who did not come."""

    booking: UUID
