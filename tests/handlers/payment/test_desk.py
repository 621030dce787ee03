from dataclasses import replace

import pytest

from bus.errors import Rejected
from handlers.payment.events import (
    InvoiceSettled,
    RefundPaid,
    RefundProposed,
)
from handlers.payment.model.desk import (
    ALONE_UP_TO_MINOR,
    InvoiceTakenBack,
    InvoiceUnknown,
    MoreThanDue,
    MoreThanOpen,
    NobodyAtTheDesk,
    OtherCurrency,
    SecondPersonNeeded,
    Standing,
    pay_refund,
    shown,
    take_payment,
)
from tests.handlers.armory.made import ANNA, AT_COUNTER, CARLA, booking
from tests.handlers.payment.made import (
    refund,
    take,
    taken,
)
from tests.handlers.scenario import NOON, given

STANDING = Standing(
    booking=booking(1),
    person=ANNA,
    currency="EUR",
    total_minor=2600,
    paid_minor=600,
    credited=False,
    refund_due_minor=0,
)
CREDITED = replace(STANDING, credited=True, refund_due_minor=600)
UNKNOWN: Standing | None = None


def test_part_of_an_invoice_can_be_paid() -> None:
    given(STANDING, actor=AT_COUNTER, id_=booking(9)).when(take_payment, take(1999)).then(taken(1999))


def test_an_invoice_is_settled_when_nothing_is_open_any_more() -> None:
    given(STANDING, actor=AT_COUNTER, id_=booking(9)).when(take_payment, take(2000)).then(
        taken(2000), InvoiceSettled(invoice=booking(1), booking=booking(1), settled_at=NOON)
    )


@pytest.mark.parametrize(
    ("standing", "rule"),
    [(UNKNOWN, InvoiceUnknown), (CREDITED, InvoiceTakenBack), (replace(STANDING, paid_minor=2599), MoreThanOpen)],
)
def test_money_is_not_taken_against_the_rules(standing: Standing | None, rule: type[Rejected]) -> None:
    given(standing, actor=AT_COUNTER).when(take_payment, take(2)).then_refused(rule)


def test_the_cashier_is_told_how_much_is_open() -> None:
    decided = given(STANDING, actor=AT_COUNTER).when(take_payment, take(2001))
    assert decided.refusal is not None
    assert decided.refusal.reason == "20.01 EUR are more than is open on the invoice: 20.00 EUR."


def test_money_is_taken_and_paid_by_a_person_in_the_invoices_currency() -> None:
    given(STANDING, actor="service:x").when(take_payment, take(1)).then_refused(NobodyAtTheDesk)
    given(CREDITED, actor="device:x").when(pay_refund, refund(1)).then_refused(NobodyAtTheDesk)
    given(STANDING, actor=AT_COUNTER).when(take_payment, take(1, currency="USD")).then_refused(OtherCurrency)
    given(CREDITED, actor=AT_COUNTER).when(pay_refund, refund(1, currency="USD")).then_refused(OtherCurrency)


def test_what_is_due_back_can_be_paid_out() -> None:
    given(CREDITED, actor=AT_COUNTER, id_=booking(9)).when(pay_refund, refund(600, method="transfer")).then(
        RefundPaid(
            invoice=booking(1),
            person=ANNA,
            refund=booking(9),
            amount_minor=600,
            currency="EUR",
            method="transfer",
            paid_by=CARLA,
            paid_at=NOON,
        )
    )


LARGE = ALONE_UP_TO_MINOR + 1
OWED = replace(CREDITED, total_minor=2 * LARGE, paid_minor=2 * LARGE, refund_due_minor=2 * LARGE)


def proposed(amount_minor: int = LARGE) -> RefundProposed:
    return RefundProposed(
        invoice=booking(1),
        person=ANNA,
        amount_minor=amount_minor,
        currency="EUR",
        proposed_by=CARLA,
        proposed_at=NOON,
    )


def test_a_large_refund_is_proposed_by_one_and_paid_out_by_another() -> None:
    assert len(given(OWED, actor=AT_COUNTER).when(pay_refund, refund(ALONE_UP_TO_MINOR)).effects) == 1
    given(OWED, actor=AT_COUNTER).when(pay_refund, refund(LARGE)).then(proposed())
    waiting = replace(OWED, proposed_minor=LARGE, proposed_by=CARLA)
    given(waiting, actor=AT_COUNTER).when(pay_refund, refund(LARGE)).then_refused(
        SecondPersonNeeded, alone="100.00 EUR"
    )
    (paid,) = given(waiting, actor=f"person:{ANNA}").when(pay_refund, refund(LARGE)).effects
    assert isinstance(paid, RefundPaid)
    assert (paid.amount_minor, paid.paid_by) == (LARGE, ANNA)


def test_another_amount_than_was_proposed_is_a_proposal_itself() -> None:
    waiting = replace(OWED, proposed_minor=LARGE, proposed_by=ANNA)
    given(waiting, actor=AT_COUNTER).when(pay_refund, refund(LARGE + 1)).then(proposed(LARGE + 1))


@pytest.mark.parametrize(
    ("standing", "rule"), [(UNKNOWN, InvoiceUnknown), (STANDING, MoreThanDue), (CREDITED, MoreThanDue)]
)
def test_no_more_is_paid_out_than_is_due(standing: Standing | None, rule: type[Rejected]) -> None:
    given(standing, actor=AT_COUNTER).when(pay_refund, refund(601)).then_refused(rule)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(0, "EUR", "0.00 EUR"), (5, "EUR", "0.05 EUR"), (1250, "RUB", "12.50 RUB"), (1250, "JPY", "1250 JPY"),
     (1250, "KWD", "1.250 KWD")],
)  # fmt: skip
def test_amounts_are_shown_as_people_write_them(minor: int, currency: str, text: str) -> None:
    assert shown(minor, currency) == text
