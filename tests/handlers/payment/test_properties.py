"""Invariants of handlers/payment/README.md, for any prices and any course of payments, by decisions alone."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Rejected
from bus.service import Given
from handlers.booking.events import Terms
from handlers.payment.events import (
    InvoiceCredited,
    InvoiceIssued,
    InvoiceSettled,
    PaymentTaken,
    RefundPaid,
    RefundProposed,
)
from handlers.payment.model.desk import ALONE_UP_TO_MINOR, Standing, pay_refund, take_payment
from handlers.payment.model.invoices import Demand, Invoice, Issued, place
from handlers.payment.model.ledger import customer_credit, legs, receivable
from handlers.payment.model.prices import PriceList, quote
from handlers.payment.reactions import credit, invoice
from tests.handlers.armory.made import ANNA, AT_COUNTER, booking, cancelled, terms
from tests.handlers.payment.made import refund, reserved, take
from tests.handlers.scenario import NOON

GIVEN = Given(at=NOON, id=booking(9), correlation=booking(1), actor=AT_COUNTER)
price_lists = st.builds(
    PriceList,
    currency=st.just("EUR"),
    version=st.just(1),
    tax_permille=st.integers(0, 1000),
    lane_hour_minor=st.integers(0, 10**8),
    weapon_minor=st.fixed_dictionaries({"air-rifle": st.integers(0, 10**8)}),
    round_minor=st.fixed_dictionaries({"air": st.integers(0, 10**7)}),
)
wanted = st.builds(
    terms,
    weapon_type=st.sampled_from([None, "air-rifle"]),
    rounds=st.integers(0, 10_000),
    lasts=st.integers(1, 1440).map(lambda minutes: timedelta(minutes=minutes)),
)


@given(price_lists, wanted)
def test_lines_say_what_they_cost_and_what_tax_that_contains(prices: PriceList, what: Terms) -> None:
    lines = quote(prices, what)
    assert not isinstance(lines, Rejected)
    for line in lines:
        gross = line.quantity * line.unit_minor
        assert line.net_minor + line.tax_minor == gross
        exact = Fraction(gross * line.tax_permille, 1000 + line.tax_permille)
        assert abs(line.tax_minor - exact) <= Fraction(1, 2)


@given(
    price_lists,
    wanted,
    st.lists(st.tuples(st.sampled_from(["pay", "refund", "cancel"]), st.integers(1, 120)), max_size=12),
)
def test_money_is_conserved_whatever_happens_at_the_desk(  # noqa: C901
    prices: PriceList, what: Terms, moves: list[tuple[str, int]]
) -> None:
    """Invariants 1, 5, 6 and 7, over the whole life of an invoice."""
    document, *settled = invoice(Demand(open=True, prices=prices, last_numbers={}), reserved(what), GIVEN)
    assert isinstance(document, InvoiceIssued)
    assert document.total_minor == sum(line.quantity * line.unit_minor for line in document.lines)
    assert document.total_minor == document.net_minor + document.tax_minor
    assert bool(settled) == (document.total_minor == 0)
    accounts = Counter(booked(document))
    total, paid, due, refunded, is_credited = document.total_minor, 0, 0, 0, False
    proposed: int | None = None  # by somebody else than who asks

    for move, percent in moves:
        amount = max(1, total * percent // 100)
        standing = Standing(booking(1), ANNA, "EUR", total, paid, is_credited, due - refunded, proposed, ANNA)
        try:
            if move == "pay":
                said = take_payment(standing, take(amount), GIVEN)
            elif move == "refund":
                said = pay_refund(standing, refund(amount), GIVEN)
            else:
                stands = None if is_credited else Invoice(booking(1), booking(1), ANNA, "EUR", document.lines, paid)
                said = credit(Issued(stands, {}), cancelled(), GIVEN)
        except Rejected:
            continue
        for event in said:
            if isinstance(event, InvoiceSettled):
                assert paid == total
                continue
            if isinstance(event, RefundProposed):
                assert event.amount_minor > ALONE_UP_TO_MINOR
                proposed = event.amount_minor
                continue
            assert isinstance(event, PaymentTaken | RefundPaid | InvoiceCredited)
            accounts.update(booked(event))
            match event:
                case PaymentTaken():
                    paid += event.amount_minor
                case RefundPaid():
                    assert event.amount_minor in {proposed, min(event.amount_minor, ALONE_UP_TO_MINOR)}
                    refunded += event.amount_minor
                    proposed = None
                case InvoiceCredited():
                    due, is_credited = event.refund_due_minor, True
                    assert due == paid
        assert 0 <= paid <= total
        assert 0 <= refunded <= due
        assert accounts[receivable(ANNA)] == (0 if is_credited else total - paid)
        assert accounts[customer_credit(ANNA)] == refunded - due
        assert accounts["cash"] == paid - refunded


def booked(event: InvoiceIssued | InvoiceCredited | PaymentTaken | RefundPaid) -> dict[str, int]:
    entered = legs(event)
    assert sum(leg.amount_minor for leg in entered) == 0
    accounts = {leg.account: leg.amount_minor for leg in entered}
    assert len(accounts) == len(entered)
    return accounts


@given(st.lists(st.sampled_from([2025, 2026, 2027]), max_size=40))
def test_numbers_of_a_year_have_no_gap(years: list[int]) -> None:
    last: dict[int, int] = {}
    free = PriceList("EUR", 1, 200, 0, {"air-rifle": 0}, {"air": 0})
    for issued_before, year in enumerate(sorted(years)):
        at = Given(at=NOON.replace(year=year), id=booking(9), correlation=booking(9), actor=AT_COUNTER)
        document, _ = invoice(Demand(open=True, prices=free, last_numbers=last), reserved(terms(issued_before)), at)
        assert isinstance(document, InvoiceIssued)
        assert place(document.number) == (year, last.get(year, 0) + 1)
        last[year] = place(document.number)[1]
