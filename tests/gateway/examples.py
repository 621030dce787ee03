"""A range, two lanes and a booking, as booking would tell of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bus.identity import uuid7
from handlers.booking.events import (
    BookingConfirmed,
    BookingRejected,
    LaneHeld,
    LaneOpened,
    OpeningHours,
    RangeSetUp,
    SessionStarted,
    Terms,
)

SOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
SET_UP = RangeSetUp(
    range="club",
    title="The club's range",
    time_zone="Europe/Berlin",
    opening_hours=tuple(OpeningHours(weekday=day, opens_minute=0, closes_minute=1440) for day in range(1, 8)),
    slot_minutes=30,
    hold_seconds=30,
    early_check_in_minutes=60,
    no_show_minutes=15,
)
WISH: dict[str, Any] = {
    "lane": "lane-1",
    "starts_at": SOON.isoformat(),
    "ends_at": (SOON + timedelta(minutes=30)).isoformat(),
    "weapon_class": "air",
}


def lane(name: str = "lane-1") -> LaneOpened:
    return LaneOpened(
        range="club",
        lane=name,
        distance_m=10,
        discipline="air-pistol-10m",
        weapon_classes=("air",),
        target_address=None,
    )


def terms(person: UUID, booking: UUID | None = None, *, on: str = "lane-1") -> Terms:
    number = booking or uuid7()
    return Terms(
        booking=number,
        command=number,
        person=person,
        range="club",
        lane=on,
        discipline="air-pistol-10m",
        starts_at=SOON,
        ends_at=SOON + timedelta(minutes=30),
        weapon_class="air",
        weapon_type=None,
        rounds=0,
    )


def held(about: Terms) -> LaneHeld:
    return LaneHeld(
        booking=about.booking,
        terms=about,
        held_until=datetime.now(UTC) + timedelta(seconds=30),
        no_show_at=about.starts_at + timedelta(minutes=15),
    )


def confirmed(about: Terms) -> BookingConfirmed:
    return BookingConfirmed(
        booking=about.booking,
        command=about.command,
        terms=about,
        invoice=about.booking,
        total_minor=600,
        currency="EUR",
    )


def rejected(about: Terms) -> BookingRejected:
    return BookingRejected(
        booking=about.booking,
        command=about.command,
        refused_by="auth",
        rule="not-entitled",
        rule_version=2,
        reason="No confirmed licence allows this.",
    )


def started(about: Terms) -> SessionStarted:
    return SessionStarted(
        booking=about.booking,
        person=about.person,
        lane=about.lane,
        discipline=about.discipline,
        started_at=datetime.now(UTC),
    )
