import asyncio
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest

from bus.message import Message
from handlers.payment.events import (
    InvoiceCredited,
    InvoiceIssued,
    InvoiceRefused,
    InvoiceSettled,
    PaymentTaken,
    PriceListPublished,
    RefundPaid,
)
from handlers.payment.model.desk import InvoiceTakenBack, InvoiceUnknown, MoreThanDue, MoreThanOpen
from handlers.payment.service import service
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import (
    ANNA,
    booking,
    cancelled,
    not_come,
    rejected,
    terms,
    validated,
)
from tests.handlers.payment.desk import balances, desk
from tests.handlers.payment.made import publish, refund, reserved, take
from tests.handlers.scenario import NOON

NEW_YEAR = datetime.fromisoformat("2027-01-01T00:00:00+00:00")


async def invoiced(payment: Hearing, number: int = 1, *, person: UUID = ANNA, at: datetime = NOON) -> InvoiceIssued:
    (issued,) = await payment.hears(reserved(terms(number, person=person)), at=at)
    assert isinstance(issued, InvoiceIssued)
    return issued


async def test_price_lists_count_up_in_each_currency_and_the_last_published_holds(unpriced: Hearing) -> None:
    for currency, version in (("EUR", 1), ("EUR", 2), ("USD", 1), ("EUR", 3), ("USD", 2)):
        (published,) = await unpriced.hears(publish(currency))
        assert isinstance(published, PriceListPublished)
        assert published.price_list_version == version
    issued = await invoiced(unpriced)
    assert (issued.currency, issued.price_list_version) == ("USD", 2)


async def test_an_invoice_keeps_the_prices_it_was_made_with(payment: Hearing) -> None:
    before = await invoiced(payment, 1)
    await payment.hears(publish(lane_hour_minor=9900))
    after = await invoiced(payment, 2)
    assert (before.total_minor, after.total_minor) == (2600, 10700)
    total = await payment.connection.fetchval("SELECT total_minor FROM invoice WHERE booking = $1", booking(1))
    assert total == 2600


async def test_without_a_price_list_a_booking_is_refused(unpriced: Hearing) -> None:
    (refused,) = await unpriced.hears(reserved())
    assert isinstance(refused, InvoiceRefused)
    assert refused.rule == "no-price-list"


async def test_numbers_have_no_gap_and_begin_anew_with_the_year(payment: Hearing) -> None:
    numbers = [(await invoiced(payment, number)).number for number in (1, 2)]
    numbers += [(await invoiced(payment, number, at=NEW_YEAR)).number for number in (3, 4)]
    assert numbers == ["2026-000001", "2026-000002", "2027-000001", "2027-000002"]

    credits_ = [(await payment.hears(cancelled(number), at=NEW_YEAR))[0] for number in (3, 1)]
    assert [one.number for one in credits_ if isinstance(one, InvoiceCredited)] == ["C2027-000001", "C2027-000002"]


async def test_a_number_that_is_not_used_is_given_to_the_next(payment: Hearing) -> None:
    attempt = payment.connection.transaction()
    await attempt.start()
    await invoiced(payment, 1)
    await attempt.rollback()
    assert (await invoiced(payment, 2)).number == "2026-000001"


async def test_two_invoices_made_at_the_same_moment_have_different_numbers(
    payment: Hearing, database: Database
) -> None:
    await invoiced(payment, 1)
    other = Hearing(service(), await database.connect("payment"))
    both = await asyncio.gather(invoiced(payment, 2), invoiced(other, 3))
    assert {one.number for one in both} == {"2026-000002", "2026-000003"}
    await other.connection.close()


@pytest.mark.parametrize("number", ["2026-000003", "2027-000002"])
async def test_the_table_itself_refuses_a_gap_in_the_numbers(payment: Hearing, number: str) -> None:
    await invoiced(payment, 1)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await payment.connection.execute(
            """
            INSERT INTO invoice (invoice, booking, person, number, currency, net_minor, tax_minor, total_minor,
                                 price_list_version, issued_at, purpose)
            SELECT $1, $1, person, $2, currency, 0, 0, 0, price_list_version, issued_at, purpose FROM invoice
            """,
            booking(2),
            number,
        )


@pytest.mark.parametrize("end", [rejected(), cancelled(), not_come()])
async def test_a_request_for_a_booking_that_has_ended_does_nothing(payment: Hearing, end: Message) -> None:
    assert await payment.hears(end) == ()
    assert await payment.hears(reserved()) == ()
    assert await payment.hears(validated(terms(weapon_type=None))) == ()


async def test_a_booking_is_invoiced_once_and_credited_once(payment: Hearing) -> None:
    await invoiced(payment)
    assert await payment.hears(reserved()) == ()
    (credited,) = await payment.hears(rejected())
    assert isinstance(credited, InvoiceCredited)
    assert await payment.hears(cancelled()) == ()
    assert await payment.hears(reserved()) == ()


async def test_who_does_not_come_still_owes(payment: Hearing) -> None:
    await invoiced(payment)
    assert await payment.hears(not_come()) == ()
    assert await balances(payment.connection) == {
        f"receivable:{ANNA}": 2600,
        "revenue:lane": -1500,
        "revenue:weapon": -500,
        "revenue:ammunition": -167,
        "tax-payable": -433,
    }
    await desk(payment, take(2600))


async def test_an_invoice_is_paid_in_parts_and_no_more_than_is_open(payment: Hearing) -> None:
    await invoiced(payment)
    with pytest.raises(InvoiceUnknown):
        await desk(payment, take(1, number=2))
    assert [type(one) for one in await desk(payment, take(1000), 500)] == [PaymentTaken]
    with pytest.raises(MoreThanOpen):
        await desk(payment, take(1601), 501)
    said = await desk(payment, take(1600, method="card-terminal"), 502)
    assert [type(one) for one in said] == [PaymentTaken, InvoiceSettled]
    with pytest.raises(MoreThanOpen):
        await desk(payment, take(1), 503)
    money = await balances(payment.connection)
    assert (money["cash"], money["card-clearing"], f"receivable:{ANNA}" in money) == (1000, 1600, False)


async def test_what_was_paid_on_a_cancelled_booking_is_paid_back_and_no_more(payment: Hearing) -> None:
    await invoiced(payment)
    await desk(payment, take(1000))
    (credited,) = await payment.hears(cancelled())
    assert isinstance(credited, InvoiceCredited)
    assert credited.refund_due_minor == 1000
    with pytest.raises(InvoiceTakenBack):
        await desk(payment, take(1), 501)
    assert [type(one) for one in await desk(payment, refund(400), 502)] == [RefundPaid]
    with pytest.raises(MoreThanDue):
        await desk(payment, refund(601), 503)
    await desk(payment, refund(600), 504)
    assert await balances(payment.connection) == {}


async def test_two_cashiers_do_not_take_the_same_money_twice(payment: Hearing, database: Database) -> None:
    await invoiced(payment)
    other = Hearing(service(), await database.connect("payment"))
    answers = await asyncio.gather(desk(payment, take(2600), 500), desk(other, take(2600), 501), return_exceptions=True)
    assert [type(one) for one in answers if isinstance(one, Exception)] == [MoreThanOpen]
    await other.connection.close()


ENTER = "INSERT INTO leg (source, account, currency, amount_minor, at) VALUES ($1, $2, $3, $4, $5)"


@pytest.mark.parametrize(
    ("legs", "unbalanced"),
    [([("cash", "EUR", 100)], "EUR"), ([("cash", "EUR", 100), ("bank", "USD", -100)], "EUR, USD")],
)
async def test_the_ledger_itself_refuses_legs_that_do_not_come_to_nothing(
    payment: Hearing, legs: list[tuple[str, str, int]], unbalanced: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=f"not balanced in {unbalanced}$"):
        await payment.connection.executemany(ENTER, [("payment:1", *leg, NOON) for leg in legs])
    assert await balances(payment.connection) == {}


async def test_a_source_is_booked_once(payment: Hearing) -> None:
    await invoiced(payment)
    with pytest.raises(asyncpg.UniqueViolationError):
        await payment.connection.execute(ENTER, f"invoice:{booking(1)}", f"receivable:{ANNA}", "EUR", 100, NOON)


@pytest.mark.parametrize("table", ["leg", "invoice", "invoice_line", "credit_note", "payment", "refund"])
async def test_documents_and_legs_are_never_changed(payment: Hearing, table: str) -> None:
    column = await payment.connection.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'payment' AND table_name = $1 LIMIT 1",
        table,
    )
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await payment.connection.execute(statement)


async def test_the_same_events_give_the_same_rows(payment: Hearing, database: Database) -> None:
    await payment.hears(publish("USD"))
    await payment.hears(publish("EUR"))
    for number in (1, 2, 3):
        await invoiced(payment, number)
    await desk(payment, take(2600, 1), 500)
    await desk(payment, take(100, 2), 501)
    for end in (cancelled(2), rejected(3), not_come(1), cancelled(9)):
        await payment.hears(end)
    await desk(payment, refund(60, 2), 502)
    superuser = await database.connect("postgres")
    live = await rows(superuser, "payment")
    assert all(live.values())

    await empty(superuser, "payment")
    assert not any((await rows(superuser, "payment")).values())
    await payment.replay(payment.log)
    assert await rows(superuser, "payment") == live
    await superuser.close()
