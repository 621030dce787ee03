"""Messages and people that the armory's tests speak of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bus.fields import EARLIEST, LATEST
from handlers.armory.commands import IssueWeapon, ReturnWeapon
from handlers.armory.model.fitness import Weapon
from handlers.armory.model.register import WeaponType
from handlers.armory.model.times import Span
from handlers.auth.events import Entitlement, EntitlementsPublished, LicenceValidated
from handlers.booking.events import (
    BookingCancelled,
    BookingRejected,
    NoShowReleased,
    SessionFinished,
    ShooterCheckedIn,
    Terms,
)
from tests.handlers.scenario import NOON

HOUR = timedelta(hours=1)
ANNA = UUID(int=101)  # a shooter
BORIS = UUID(int=102)  # another
CARLA = UUID(int=103)  # the armourer, and the cashier
RIFLE = Weapon(WeaponType("air-rifle", "air", "Air rifle", units=2), "4.5 mm")
DURING = Span(NOON, NOON + HOUR)
AT_COUNTER = f"person:{CARLA}"


def booking(number: int) -> UUID:
    return UUID(int=1000 + number)


def weapon(number: int) -> UUID:
    return UUID(int=2000 + number)


def terms(
    number: int = 1,
    *,
    person: UUID = ANNA,
    weapon_type: str | None = "air-rifle",
    weapon_class: str = "air",
    rounds: int = 40,
    starts_at: datetime = NOON,
    lasts: timedelta = HOUR,
) -> Terms:
    return Terms(
        booking=booking(number),
        command=booking(number),
        person=person,
        range="club",
        lane="lane-1",
        discipline="air-rifle-10m",
        starts_at=starts_at,
        ends_at=starts_at + lasts,
        weapon_class=weapon_class,
        weapon_type=weapon_type,
        rounds=rounds,
    )


def validated(what: Terms) -> LicenceValidated:
    return LicenceValidated(booking=what.booking, terms=what, rule_set="generic", rule_version=1)


def rejected(number: int = 1) -> BookingRejected:
    return BookingRejected(
        booking=booking(number),
        command=booking(number),
        refused_by="booking",
        rule="hold-expired",
        rule_version=1,
        reason="Nobody answered in time.",
    )


def cancelled(number: int = 1) -> BookingCancelled:
    return BookingCancelled(booking=booking(number), person=ANNA, cancelled_by=f"person:{ANNA}")


def not_come(number: int = 1) -> NoShowReleased:
    return NoShowReleased(booking=booking(number), person=ANNA)


def entitled(*people: UUID, weapon_classes: Sequence[str] = ("air", "smallbore")) -> list[EntitlementsPublished]:
    """They may shoot these classes at any time."""
    return [
        EntitlementsPublished(
            person=person,
            entitlements=tuple(
                Entitlement(weapon_class=one, valid_from=EARLIEST, valid_until=LATEST) for one in weapon_classes
            ),
            rule_set="generic",
            rule_version=1,
        )
        for person in people
    ]


def checked_in(what: Terms, at: datetime = NOON) -> ShooterCheckedIn:
    return ShooterCheckedIn(booking=what.booking, person=what.person, terms=what, checked_in_at=at)


def finished(number: int = 1) -> SessionFinished:
    return SessionFinished(
        booking=booking(number), person=ANNA, lane="lane-1", finished_at=NOON + HOUR, finished_by=AT_COUNTER
    )


def issue(number: int = 1, unit: int = 1, rounds: int = 40) -> IssueWeapon:
    return IssueWeapon(booking=booking(number), weapon=weapon(unit), rounds=rounds)


def take_back(number: int = 1, unit: int = 1, rounds: int = 0) -> ReturnWeapon:
    return ReturnWeapon(booking=booking(number), weapon=weapon(unit), rounds_returned=rounds)
