"""The invariants of handlers/payment/README.md, whatever is asked in whatever order, in a real database."""

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.connection import Connection
from bus.errors import Rejected
from bus.message import Message
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import (
    ANNA,
    BORIS,
    cancelled,
    not_come,
    rejected,
    terms,
    validated,
)
from tests.handlers.payment.desk import balances, desk
from tests.handlers.payment.made import publish, refund, reserved, take

numbers = st.integers(1, 3)
moves = st.one_of(
    st.builds(lambda n: reserved(terms(n, person=(ANNA, BORIS)[n % 2])), numbers),
    st.builds(lambda n: validated(terms(n, person=(ANNA, BORIS)[n % 2], weapon_type=None, rounds=0)), numbers),
    st.builds(take, st.integers(1, 2600), numbers),
    st.builds(refund, st.integers(1, 2600), numbers),
    st.builds(lambda n, end: end(n), numbers, st.sampled_from([rejected, cancelled, not_come])),
    st.builds(publish, st.just("EUR"), lane_hour_minor=st.integers(0, 5000), weapon_minor=st.integers(0, 5000)),
)


@given(st.lists(moves, min_size=5, max_size=30))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_whatever_is_asked_the_books_are_right(payment: Hearing, asked: list[Message]) -> None:
    """Invariants 3 to 8 of the README, read from the tables."""
    before = len(payment.log)
    attempt = payment.connection.transaction()
    await attempt.start()
    try:
        for id_, message in enumerate(asked, start=500):
            with suppress(Rejected):
                await desk(payment, message, id_)
        await payment.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await look_into(payment.connection)
    finally:
        payment.log[before:] = []
        await attempt.rollback()


async def look_into(connection: Connection) -> None:
    for query in (
        "SELECT booking FROM invoice GROUP BY booking HAVING count(*) > 1",
        "SELECT year FROM invoice GROUP BY year HAVING max(ordinal) <> count(*)",
        "SELECT year FROM credit_note GROUP BY year HAVING max(ordinal) <> count(*)",
        "SELECT source FROM leg GROUP BY source, currency HAVING sum(amount_minor) <> 0",
        "SELECT currency FROM price_list GROUP BY currency HAVING max(price_list_version) <> count(*)",
        """
        SELECT FROM invoice AS i
        WHERE total_minor <> (SELECT sum(quantity * unit_minor) FROM invoice_line AS l WHERE l.invoice = i.invoice)
        """,
        """
        SELECT FROM balance AS b
        WHERE paid_minor <> coalesce((SELECT sum(amount_minor) FROM payment AS p WHERE p.invoice = b.invoice), 0)
        """,
        """
        SELECT FROM balance AS b
        WHERE refunded_minor <> coalesce((SELECT sum(amount_minor) FROM refund AS r WHERE r.invoice = b.invoice), 0)
        """,
        "SELECT FROM balance WHERE (settled_at IS NOT NULL) <> (paid_minor = total_minor)",
        "SELECT FROM balance WHERE credited AND refund_due_minor <> paid_minor",
    ):
        assert await connection.fetch(query) == [], query
    owed = await connection.fetch(
        """
        SELECT 'receivable:' || i.person, sum(CASE WHEN b.credited THEN 0 ELSE b.total_minor - b.paid_minor END)
        FROM invoice AS i JOIN balance AS b USING (invoice) GROUP BY i.person
        UNION ALL
        SELECT 'customer-credit:' || i.person, sum(b.refunded_minor - b.refund_due_minor)
        FROM invoice AS i JOIN balance AS b USING (invoice) GROUP BY i.person
        """
    )
    booked = await balances(connection)
    assert {account: amount for account, amount in owed if amount} == {
        account: amount for account, amount in booked.items() if account.startswith(("receivable:", "customer-credit:"))
    }
