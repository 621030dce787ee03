from collections.abc import AsyncIterator

import pytest

from bus.connection import Connection
from handlers.payment import views
from tests.database import Database
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import ANNA, AT_COUNTER, BORIS, CARLA, HOUR, booking, cancelled, terms
from tests.handlers.payment.made import AMMUNITION, LANE, WEAPON, publish, refund, reserved, take
from tests.handlers.scenario import NOON


@pytest.fixture
async def gateway(payment: Hearing, database: Database) -> AsyncIterator[Connection]:
    """The gateway's connection: Anna paid one of two invoices in part, Boris's was credited after he had paid."""
    for number, person in ((1, ANNA), (2, ANNA), (3, BORIS)):
        await payment.hears(reserved(terms(number, person=person)), at=NOON + number * HOUR)
    await payment.hears(take(600, 1), by=AT_COUNTER, id_=booking(501), at=NOON + 5 * HOUR)
    await payment.hears(take(2600, 3, method="transfer"), by=AT_COUNTER, id_=booking(503), at=NOON + 5 * HOUR)
    await payment.hears(cancelled(3), at=NOON + 6 * HOUR)
    await payment.hears(refund(1000, 3), by=AT_COUNTER, id_=booking(504), at=NOON + 7 * HOUR)
    connection = await database.connect("gateway")
    yield connection
    await connection.close()


async def test_an_invoice_shows_its_lines_and_what_was_paid(gateway: Connection) -> None:
    found = await views.invoice(gateway, booking(1), viewer=ANNA, staff=False)
    assert found is not None
    assert (found.number, found.state, found.currency) == ("2026-000001", "open", "EUR")
    assert found.lines == [LANE, WEAPON, AMMUNITION]
    assert (found.net_minor, found.tax_minor, found.total_minor) == (2167, 433, 2600)
    assert (found.paid_minor, found.open_minor, found.refund_due_minor) == (600, 2000, 0)
    assert found.issued_at == NOON + HOUR
    (paid,) = found.payments
    assert (paid.id, paid.amount_minor, paid.method, paid.handled_by, paid.at) == (
        booking(501),
        600,
        "cash",
        CARLA,
        NOON + 5 * HOUR,
    )


async def test_a_credited_invoice_shows_its_credit_note_and_what_is_due_back(gateway: Connection) -> None:
    found = await views.invoice(gateway, booking(3), viewer=CARLA, staff=True)
    assert found is not None
    assert (found.state, found.credit_note, found.credited_at) == ("credited", "C2026-000001", NOON + 6 * HOUR)
    assert (found.open_minor, found.refund_due_minor, found.refunded_minor) == (0, 1600, 1000)
    assert [one.amount_minor for one in found.payments] == [2600, -1000]


async def test_an_invoice_is_settled_once_all_is_paid(gateway: Connection, payment: Hearing) -> None:
    await payment.hears(take(2000, 1), by=AT_COUNTER, id_=booking(505), at=NOON + 9 * HOUR)
    found = await views.invoice(gateway, booking(1), viewer=ANNA, staff=False)
    assert found is not None
    assert (found.state, found.open_minor, found.settled_at) == ("settled", 0, NOON + 9 * HOUR)


async def test_a_shooter_sees_his_own_invoices_only(gateway: Connection) -> None:
    assert await views.invoice(gateway, booking(1), viewer=BORIS, staff=False) is None
    assert await views.invoice(gateway, booking(99), viewer=CARLA, staff=True) is None
    assert await views.invoices(gateway, ANNA, viewer=BORIS, staff=False) == []
    own = await views.invoices(gateway, ANNA, viewer=ANNA, staff=False)
    assert [one.number for one in own] == ["2026-000002", "2026-000001"]
    assert await views.invoices(gateway, ANNA, viewer=CARLA, staff=True) == own
    assert await views.invoices(gateway, ANNA, viewer=ANNA, staff=False, most=1) == own[:1]


async def test_debts_say_who_owes_how_much_and_since_when(gateway: Connection) -> None:
    (debt,) = await views.debts(gateway)
    assert (debt.person, debt.currency, debt.open_minor, debt.invoices) == (ANNA, "EUR", 4600, 2)
    assert debt.since == NOON + HOUR


async def test_the_trial_balance_is_balanced(gateway: Connection) -> None:
    books = await views.trial_balance(gateway)
    assert books.balanced
    assert {one.account: one.balance_minor for one in books.accounts} == {
        "bank": 2600,
        "cash": -400,
        f"customer-credit:{BORIS}": -1600,
        f"receivable:{ANNA}": 4600,
        f"receivable:{BORIS}": 0,
        "revenue:ammunition": -334,
        "revenue:lane": -3000,
        "revenue:weapon": -1000,
        "tax-payable": -866,
    }
    (total,) = books.totals
    assert total.debit_minor == total.credit_minor > 0


async def test_the_prices_that_hold_are_the_last_published(gateway: Connection, payment: Hearing) -> None:
    await payment.hears(publish("USD", lane_hour_minor=2500))
    now = await views.prices(gateway)
    assert now is not None
    assert (now.currency, now.price_list_version, now.lane_hour_minor) == ("USD", 1, 2500)
    assert (now.weapon_minor, now.round_minor) == ({"air-rifle": 600}, {"air": 5})


async def test_there_are_no_prices_before_the_first_list(unpriced: Hearing, database: Database) -> None:
    assert unpriced.log == []
    connection = await database.connect("gateway")
    assert await views.prices(connection) is None
    await connection.close()
