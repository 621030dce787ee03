"""Custody: a weapon and its cartridges go from the armourer to a shooter, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Effect, Given
from handlers.armory.commands import IssueWeapon, ReturnWeapon
from handlers.armory.events import WeaponIssued, WeaponReturned
from handlers.armory.model.ammunition import Stocked, lot_for
from handlers.armory.model.fitness import Weapon, WeaponUnknown, must_be_fit, must_be_there, used
from handlers.armory.model.people import other_hand
from handlers.armory.model.reservations import Reservation, Taken
from handlers.armory.model.times import Span


@dataclass(frozen=True, slots=True)
class Loan:
    """A weapon's time in somebody's hands, not over yet."""

    booking: UUID
    holder: UUID
    rounds: int
    issued_at: datetime
    weapon: Weapon


@dataclass(frozen=True, slots=True)
class Counter:
    """What the armourer sees at the counter when a weapon is to be handed out."""

    weapon: Weapon | None
    out: bool
    reservation: Reservation | None  # as long as it is kept
    checked_in: bool
    booking_holds_one: bool
    stock: Sequence[Stocked]  # of the weapon's calibre
    taken: Taken  # units of its type, by other bookings and services, before this one's time begins
    entitled: Sequence[Span]  # when the shooter may shoot weapons of its class
    another_in: bool = False  # another unit of its type is fit and there, and no service of it is planned by then


class WeaponOut(Rejected):
    """This weapon is out; it must come back before it is issued again."""


class NothingReserved(Rejected):
    """No weapon is reserved for this booking."""


class WeaponOfAnotherType(Rejected):
    """{reserved} is reserved for this booking, and this weapon is {offered}."""


class NotCheckedIn(Rejected):
    """The shooter has not checked in yet."""


class BookingHoldsWeapon(Rejected):
    """The shooter of this booking has a weapon already."""


class PromisedToOthers(Rejected):
    """Before this reservation begins, each of the club's {units} {weapon_type} is promised to others or still out."""


class NotEntitled(Rejected):
    """No licence of the shooter that counts now allows weapons of the class {weapon_class}."""


class PlannedForService(Rejected):
    """This weapon is to be serviced from {starts_at} on, and another one is there: take that."""


class ReservationOver(Rejected):
    """The time for which a weapon was reserved is over."""


class WeaponNotOut(Rejected):
    """This weapon is not out for this booking."""


class MoreReturnedThanIssued(Rejected):
    """{returned} cartridges came back, those that would not fire among them, and only {issued} were issued."""


def issue_weapon(counter: Counter, asked: IssueWeapon, given: Given) -> Sequence[Event]:
    weapon, reservation = counter.weapon, counter.reservation
    if weapon is None:
        raise WeaponUnknown
    if reservation is None:
        raise NothingReserved
    if weapon.kind.weapon_type != reservation.weapon_type:
        raise WeaponOfAnotherType(reserved=reservation.weapon_type, offered=weapon.kind.weapon_type)
    must_be_fit(weapon, given.at)
    if not counter.checked_in:
        raise NotCheckedIn
    if not any(span.starts_at <= given.at < span.ends_at for span in counter.entitled):
        raise NotEntitled(weapon_class=weapon.kind.weapon_class)
    if counter.out:
        raise WeaponOut
    if counter.booking_holds_one:
        raise BookingHoldsWeapon
    _check_time(counter, weapon, reservation, given.at)
    lot = lot_for(counter.stock, weapon.calibre, asked.lot, asked.rounds, given.at)
    return [
        WeaponIssued(
            weapon=asked.weapon,
            booking=asked.booking,
            handed_to=reservation.person,
            handed_by=other_hand(given, reservation.person),
            rounds=asked.rounds,
            issued_at=given.at,
            lot=lot,
        )
    ]


def _check_time(counter: Counter, weapon: Weapon, reservation: Reservation, at: datetime) -> None:
    """A weapon may go out early if that takes it from nobody; from then on it is taken."""
    starts_at, ends_at = reservation.during.starts_at, reservation.during.ends_at
    if at >= ends_at:
        raise ReservationOver
    planned = weapon.planned
    if planned is not None and counter.another_in and planned.meets(Span(at, ends_at)):
        raise PlannedForService(starts_at=planned.starts_at.isoformat(timespec="minutes"))
    if at < starts_at and counter.taken.most(Span(at, starts_at), at) >= weapon.kind.units:
        raise PromisedToOthers(units=weapon.kind.units, weapon_type=weapon.kind.weapon_type)


def return_weapon(loan: Loan | None, asked: ReturnWeapon, given: Given) -> Sequence[Effect]:
    if loan is None or loan.booking != asked.booking:
        raise WeaponNotOut
    must_be_there(loan.weapon)
    back = asked.rounds_returned + asked.rounds_misfired
    if back > loan.rounds:
        raise MoreReturnedThanIssued(returned=back, issued=loan.rounds)
    fired = loan.rounds - back
    return [
        WeaponReturned(
            weapon=asked.weapon,
            booking=asked.booking,
            returned_by=loan.holder,
            taken_by=other_hand(given, loan.holder),
            rounds_returned=asked.rounds_returned,
            rounds_fired=fired,
            rounds_misfired=asked.rounds_misfired,
            returned_at=max(given.at, loan.issued_at),  # a clock that stepped back makes no loan end before it began
        ),
        *used(asked.weapon, loan.weapon, loan.weapon.after(fired), given.at),
    ]
