from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from handlers.booking.events import BookingCancelled, BookingRejected, Terms
from handlers.payment.events import (
    InvoiceIssued,
    InvoiceRefused,
    InvoiceSettled,
    PriceListPublished,
)
from handlers.payment.model.invoices import Demand, Invoice, Issued, next_number, place
from handlers.payment.model.ledger import legs
from handlers.payment.model.prices import lane_minor, publish_price_list
from handlers.payment.reactions import credit, invoice, invoice_own_weapon
from tests.handlers.armory.made import ANNA, booking, cancelled, rejected, terms, validated
from tests.handlers.payment.made import (
    AMMUNITION,
    LANE,
    PRICES,
    WEAPON,
    credited,
    issued,
    publish,
    reserved,
)
from tests.handlers.scenario import NOON, given

DEMAND = Demand(open=True, prices=PRICES, last_numbers={2025: 310, 2026: 41})
STANDS = Issued(Invoice(booking(1), booking(1), ANNA, "EUR", (LANE, WEAPON), paid_minor=600), last_numbers={2026: 7})


def refused(what: Terms, rule: str, reason: str) -> InvoiceRefused:
    return InvoiceRefused(
        invoice=what.booking, booking=what.booking, terms=what, rule=rule, rule_version=1, reason=reason
    )


def test_price_lists_are_numbered_in_their_currency() -> None:
    first = PriceListPublished(price_list_version=1, **publish().model_dump())
    none: int | None = None
    given(none).when(publish_price_list, publish()).then(first)
    given(1).when(publish_price_list, publish()).then(first.model_copy(update={"price_list_version": 2}))


@pytest.mark.parametrize("price", [-1, 10**8 + 1])
def test_a_price_is_neither_negative_nor_beyond_all_bounds(price: int) -> None:
    with pytest.raises(ValidationError):
        publish(lane_hour_minor=price)
    with pytest.raises(ValidationError):
        publish(weapon_minor=price)
    with pytest.raises(ValidationError):
        publish(round_minor=price)


def test_a_booking_with_a_club_weapon_is_invoiced_once_the_weapon_is_reserved() -> None:
    given(DEMAND).when(invoice_own_weapon, validated(terms())).then()
    given(DEMAND).when(invoice, reserved()).then(issued(terms(), LANE, WEAPON, AMMUNITION))


def test_a_booking_with_ones_own_weapon_is_invoiced_once_the_licence_is_good() -> None:
    own = terms(weapon_type=None, rounds=0)
    given(DEMAND).when(invoice_own_weapon, validated(own)).then(issued(own, LANE))


def test_a_booking_that_has_ended_or_was_invoiced_is_not_invoiced() -> None:
    given(replace(DEMAND, open=False)).when(invoice, reserved()).then()
    own = validated(terms(weapon_type=None))
    given(replace(DEMAND, open=False)).when(invoice_own_weapon, own).then()


def test_nothing_is_invoiced_without_a_price_list() -> None:
    given(replace(DEMAND, prices=None)).when(invoice, reserved()).then(
        refused(terms(), "no-price-list", "The range has no price list yet, so nothing can be booked.")
    )


@pytest.mark.parametrize(
    ("what", "rule", "reason"),
    [
        (
            terms(weapon_type="musket"),
            "weapon-without-price",
            "The price list names no price for the weapon musket.",
        ),
        (
            terms(weapon_class="smallbore"),
            "rounds-without-price",
            "The price list names no price for smallbore cartridges.",
        ),
    ],
)
def test_what_has_no_price_is_refused(what: Terms, rule: str, reason: str) -> None:
    given(DEMAND).when(invoice, reserved(what)).then(refused(what, rule, reason))


def test_cartridges_that_are_not_asked_for_need_no_price() -> None:
    what = terms(weapon_class="smallbore", rounds=0)
    given(DEMAND).when(invoice, reserved(what)).then(issued(what, LANE, WEAPON))


def test_a_booking_beyond_what_an_amount_can_be_is_refused() -> None:
    dear = replace(PRICES, round_minor={"air": 10**8}, lane_hour_minor=10**8)
    what = terms(rounds=10_000)
    given(replace(DEMAND, prices=dear)).when(invoice, reserved(what)).then(
        refused(what, "beyond-one-invoice", "The booking costs more than one invoice can say.")
    )


def test_an_invoice_over_nothing_is_settled_at_once() -> None:
    free = replace(PRICES, lane_hour_minor=0)
    what = terms(weapon_type="loaner", rounds=0)
    decided = given(replace(DEMAND, prices=free)).when(invoice, reserved(what))

    document, settled = decided.effects
    assert isinstance(document, InvoiceIssued)
    assert (document.total_minor, len(document.lines)) == (0, 2)
    assert settled == InvoiceSettled(invoice=booking(1), booking=booking(1), settled_at=NOON)
    assert legs(document) == ()


@pytest.mark.parametrize(
    ("lasts", "price"),
    [
        (timedelta(hours=1), 1001),
        (timedelta(minutes=90), 1502),  # 1501.5 goes up
        (timedelta(minutes=20), 334),
        (timedelta(minutes=10), 167),
        (timedelta(seconds=1), 0),
    ],
)
def test_a_lane_costs_in_proportion_to_its_time(lasts: timedelta, price: int) -> None:
    assert lane_minor(replace(PRICES, lane_hour_minor=1001), lasts) == price


@pytest.mark.parametrize(
    ("last", "at", "number"),
    [
        ({}, datetime(2026, 1, 1, tzinfo=UTC), "2026-000001"),
        ({2025: 310}, datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), "2025-000311"),
        ({2025: 310}, datetime(2026, 1, 1, tzinfo=UTC), "2026-000001"),
        ({2026: 999_999}, NOON, "2026-1000000"),
    ],
)
def test_numbers_begin_anew_each_year(last: dict[int, int], at: datetime, number: str) -> None:
    assert next_number("invoice", last, at) == number
    assert next_number("credit-note", last, at) == f"C{number}"
    assert place(number) == place(f"C{number}") == (at.year, last.get(at.year, 0) + 1)


@pytest.mark.parametrize("end", [rejected(), cancelled()])
def test_the_invoice_of_a_booking_that_falls_through_is_credited(end: BookingRejected | BookingCancelled) -> None:
    given(STANDS).when(credit, end).then(credited())
    given(Issued(None, {})).when(credit, end).then()
