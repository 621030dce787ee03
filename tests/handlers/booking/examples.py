"""A range, a shooter and a booking for tests to begin with. Times are of 1 June 2026, a Monday."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings

from handlers.armory.events import WeaponIssued, WeaponReserved, WeaponReturned, WeaponTypeStocked
from handlers.auth.events import Entitlement, EntitlementsPublished, LicenceValidated, PersonRegistered
from handlers.booking.commands import BookSession, OpenLane, SetUpRange
from handlers.booking.events import OpeningHours, Terms
from handlers.booking.model.states import Booking, Case, Lane, Staff, State, Wish
from handlers.payment.events import InvoiceIssued

unhurried = settings(deadline=None)  # properties are about what is true, not about how fast a laden machine is
ANNA = UUID(int=0xA)
BEN = UUID(int=0xB)
INA = UUID(int=0x1A)  # instructor
CARL = UUID(int=0xCA)  # cashier
ADA = UUID(int=0xAD)  # administrator
BOOKING = UUID(int=0xB00)
WEAPON = UUID(int=0x3E)
STAFF = Staff({INA: frozenset({"instructor"}), CARL: frozenset({"cashier"}), ADA: frozenset({"admin"})})
ALL_DAY = tuple(OpeningHours(weekday=day, opens_minute=0, closes_minute=1440) for day in range(1, 8))
DAYTIME = tuple(OpeningHours(weekday=day, opens_minute=9 * 60, closes_minute=22 * 60) for day in range(1, 8))


def clock(hour: int, minute: int = 0, day: date = date(2026, 6, 1)) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def person(id_: UUID) -> str:
    return f"person:{id_}"


LANE = Lane(
    lane="lane-1",
    range="hall",
    discipline="air-pistol-10m",
    weapon_classes=frozenset({"air"}),
    time_zone="UTC",
    opening_hours=DAYTIME,
    slot=timedelta(minutes=30),
    hold=timedelta(seconds=60),
    no_show_after=timedelta(minutes=15),
)
WISH = Wish(taken=False, lane=LANE, weapon_class="air", clash=None, staff=STAFF)
BOOK = BookSession(
    booking=BOOKING,
    person=ANNA,
    lane="lane-1",
    starts_at=clock(14),
    ends_at=clock(15),
    weapon_class="air",
    weapon_type="air-pistol",
    rounds=40,
)
TERMS = Terms(
    booking=BOOKING,
    command=BOOKING,
    person=ANNA,
    range="hall",
    lane="lane-1",
    discipline="air-pistol-10m",
    starts_at=clock(14),
    ends_at=clock(15),
    weapon_class="air",
    weapon_type="air-pistol",
    rounds=40,
)
HELD = Booking(
    terms=TERMS,
    state=State.HELD,
    held_until=clock(12, 1),
    no_show_at=clock(14, 15),
    agreed=frozenset(),
    weapon_out=False,
    time_zone="UTC",
    early_check_in=timedelta(minutes=60),
)


def booked(state: State, *, weapon_out: bool = False, own_weapon: bool = False) -> Booking:
    terms = TERMS.model_copy(update={"weapon_type": None}) if own_weapon else TERMS
    return replace(HELD, terms=terms, state=state, weapon_out=weapon_out)


def case(booking: Booking | None) -> Case:
    return Case(booking, STAFF)


SET_UP = SetUpRange(
    range="hall",
    title="The hall",
    time_zone="UTC",
    opening_hours=DAYTIME,
    slot_minutes=30,
    hold_seconds=60,
    early_check_in_minutes=60,
    no_show_minutes=15,
)


def open_lane(lane: str, **changes: Any) -> OpenLane:
    plain = {"range": "hall", "distance_m": 10, "discipline": "air-pistol-10m", "weapon_classes": ("air",)}
    return OpenLane(lane=lane, **{**plain, **changes})


def registered(id_: UUID, *roles: Any) -> PersonRegistered:
    return PersonRegistered(person=id_, roles=roles or ("shooter",))


def entitled(id_: UUID, *spans: tuple[str, datetime, datetime]) -> EntitlementsPublished:
    return EntitlementsPublished(
        person=id_,
        entitlements=tuple(Entitlement(weapon_class=c, valid_from=f, valid_until=u) for c, f, u in spans),
        rule_set="generic",
        rule_version=1,
    )


def stocked(weapon_type: str = "air-pistol", weapon_class: str = "air", units: int = 2) -> WeaponTypeStocked:
    return WeaponTypeStocked(weapon_type=weapon_type, weapon_class=weapon_class, title=weapon_type.title(), units=units)


def validated(terms: Terms) -> LicenceValidated:
    return LicenceValidated(booking=terms.booking, terms=terms, rule_set="generic", rule_version=1)


def reserved(terms: Terms) -> WeaponReserved:
    return WeaponReserved(booking=terms.booking, terms=terms)


def invoiced(terms: Terms) -> InvoiceIssued:
    return InvoiceIssued(
        invoice=terms.booking,
        booking=terms.booking,
        person=terms.person,
        number="2026-000001",
        currency="EUR",
        lines=(),
        net_minor=1000,
        tax_minor=190,
        total_minor=1190,
        price_list_version=1,
        issued_at=clock(12),
        terms=terms,
    )


def issued(booking: UUID, weapon: UUID = WEAPON) -> WeaponIssued:
    return WeaponIssued(weapon=weapon, booking=booking, handed_to=ANNA, handed_by=INA, rounds=40, issued_at=clock(13))


def returned(booking: UUID, weapon: UUID = WEAPON) -> WeaponReturned:
    return WeaponReturned(
        weapon=weapon,
        booking=booking,
        returned_by=ANNA,
        taken_by=INA,
        rounds_returned=0,
        rounds_fired=40,
        returned_at=clock(15),
    )
