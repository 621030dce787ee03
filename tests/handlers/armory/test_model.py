from dataclasses import replace

import pytest
from pydantic import ValidationError

from bus.errors import Rejected
from handlers.armory.commands import AddWeapon, AddWeaponType, StockAmmunition
from handlers.armory.events import (
    AmmunitionStocked,
    ReservationReleased,
    WeaponAdded,
    WeaponRefused,
    WeaponReserved,
    WeaponTypeAdded,
    WeaponTypeStocked,
)
from handlers.armory.model.ammunition import stock_ammunition
from handlers.armory.model.register import (
    Register,
    SerialKnown,
    WeaponKnown,
    WeaponType,
    WeaponTypeKnown,
    WeaponTypeUnknown,
    add_weapon,
    add_weapon_type,
)
from handlers.armory.model.reservations import Demand, Reservation, Taken
from handlers.armory.model.times import Span
from handlers.armory.reactions import Closing, release, reserve
from tests.handlers.armory.made import (
    ANNA,
    DURING,
    HOUR,
    booking,
    cancelled,
    finished,
    not_come,
    rejected,
    terms,
    validated,
    weapon,
)
from tests.handlers.scenario import NOON, given

RIFLE = WeaponType("air-rifle", "air", "Air rifle", units=2)
DEMAND = Demand(open=True, weapon_type=RIFLE, taken=Taken())
ENTER = AddWeapon(weapon=weapon(3), weapon_type="air-rifle", serial="A-1234567")


def span(begins: float, ends: float) -> Span:
    return Span(NOON + begins * HOUR, NOON + ends * HOUR)


def refused(rule: str, reason: str) -> WeaponRefused:
    return WeaponRefused(booking=booking(1), terms=terms(), rule=rule, rule_version=1, reason=reason)


def test_a_weapon_type_is_entered_once() -> None:
    asked = AddWeaponType(weapon_type="air-rifle", weapon_class="air", calibre="4.5 mm", title="Air rifle")
    added = WeaponTypeAdded(weapon_type="air-rifle", weapon_class="air", calibre="4.5 mm", title="Air rifle")

    given(None).when(add_weapon_type, asked).then(added)
    given(RIFLE).when(add_weapon_type, asked).then_refused(WeaponTypeKnown, weapon_type="air-rifle")


def test_a_weapon_that_is_entered_is_one_unit_more_of_its_type() -> None:
    given(Register(RIFLE, weapon_known=False, serial_known=False)).when(add_weapon, ENTER).then(
        WeaponAdded(weapon=weapon(3), weapon_type="air-rifle", serial="A-1234567", added_at=NOON),
        WeaponTypeStocked(weapon_type="air-rifle", weapon_class="air", title="Air rifle", units=3),
    )


@pytest.mark.parametrize(
    ("register", "rule"),
    [
        (Register(None, weapon_known=False, serial_known=False), WeaponTypeUnknown),
        (Register(RIFLE, weapon_known=True, serial_known=False), WeaponKnown),
        (Register(RIFLE, weapon_known=False, serial_known=True), SerialKnown),
    ],
)
def test_a_weapon_is_not_entered_twice_nor_without_its_type(register: Register, rule: type[Rejected]) -> None:
    given(register).when(add_weapon, ENTER).then_refused(rule)


def test_cartridges_come_into_stock() -> None:
    asked = StockAmmunition(calibre="4.5 mm", rounds=500)
    given([]).when(stock_ammunition, asked).then(AmmunitionStocked(calibre="4.5 mm", rounds=500))


def test_what_is_written_on_a_weapon_fits_into_the_sentences_told_of_it() -> None:
    with pytest.raises(ValidationError):
        AddWeaponType(weapon_type="air-rifle", weapon_class="air", calibre="4.5 mm", title="x" * 101)
    with pytest.raises(ValidationError):
        StockAmmunition(calibre="4.5 mm", rounds=0)


def test_a_weapon_of_the_type_asked_for_is_reserved() -> None:
    given(DEMAND).when(reserve, validated(terms())).then(WeaponReserved(booking=booking(1), terms=terms()))


@pytest.mark.parametrize(
    "kept",
    [
        (span(-1, 0.5), span(0.5, 2)),  # one after the other, though two touch the time asked for
        (span(0, 1),),  # one of two units
        (span(-1, 0), span(-1, 0), span(1, 2), span(1, 2)),  # before and after
    ],
)
def test_a_unit_that_is_free_at_every_moment_is_reserved(kept: tuple[Span, ...]) -> None:
    given(replace(DEMAND, taken=Taken(kept))).when(reserve, validated(terms())).then(
        WeaponReserved(booking=booking(1), terms=terms())
    )


def test_no_weapon_is_reserved_if_all_are_kept_at_one_moment() -> None:
    kept = (span(-1, 0.75), span(0.5, 2))
    given(replace(DEMAND, taken=Taken(kept))).when(reserve, validated(terms())).then(
        refused(
            "no-weapon-free",
            "No Air rifle is free for all of that time: at some moment each of the 2 is reserved, out or in service.",
        )
    )


def test_what_is_kept_outside_the_time_asked_for_does_not_count() -> None:
    kept = (span(-3, 0.5), span(-3, -1), span(-3, -1))
    given(replace(DEMAND, taken=Taken(kept))).when(reserve, validated(terms())).then(
        WeaponReserved(booking=booking(1), terms=terms())
    )


def test_a_type_the_club_does_not_have_is_refused() -> None:
    given(replace(DEMAND, weapon_type=None)).when(reserve, validated(terms())).then(
        refused("weapon-type-unknown", "The club has no weapons of the type air-rifle.")
    )


def test_a_type_of_another_class_than_booked_is_refused() -> None:
    asked = terms(weapon_class="smallbore")
    given(DEMAND).when(reserve, validated(asked)).then(
        WeaponRefused(
            booking=booking(1),
            terms=asked,
            rule="weapon-of-another-class",
            rule_version=1,
            reason="Air rifle is a weapon of the class air; the booking is for smallbore.",
        )
    )


def test_a_type_without_a_fit_unit_is_refused() -> None:
    given(replace(DEMAND, weapon_type=replace(RIFLE, units=0))).when(reserve, validated(terms())).then(
        refused("no-unit-fit", "No Air rifle is fit for use at present.")
    )


def test_who_brings_a_weapon_is_not_answered() -> None:
    given(DEMAND).when(reserve, validated(terms(weapon_type=None))).then()


def test_a_booking_that_has_ended_or_was_answered_gets_nothing() -> None:
    given(replace(DEMAND, open=False)).when(reserve, validated(terms())).then()


@pytest.mark.parametrize("end", [rejected(), cancelled(), not_come(), finished()])
def test_the_end_of_a_booking_releases_what_was_kept_for_it(end: Closing) -> None:
    released = ReservationReleased(booking=booking(1), weapon_type="air-rifle")
    kept: Reservation | None = Reservation(ANNA, "air-rifle", DURING)
    nothing: Reservation | None = None
    given(kept).when(release, end).then(released)
    given(nothing).when(release, end).then()
