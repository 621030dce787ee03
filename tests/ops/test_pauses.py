"""`firingline pause`, `resume` and `pauses` over a real database; what comes of them is tested with the bus."""

import asyncio

import pytest
from click.testing import CliRunner, Result

from bus import pauses
from ops.cli import main
from tests.database import Database


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=given)


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ((), "consumer", "payment is paused"),
        (("--handler", "payment.take-payment"), "handler", "payment's handler payment.take-payment is paused"),
        (("--stream", "booking:1"), "stream", "payment's stream booking:1 is paused"),
    ],
)
async def test_what_is_paused_is_listed_until_it_is_resumed(
    database: Database, what: tuple[str, ...], kind: str, told: str
) -> None:
    assert "Nothing is paused" in (await run(database, "pauses")).output
    for reason in ("first", "second thoughts"):
        assert told in (await run(database, "pause", "payment", *what, "--reason", reason)).output
    payment = await database.connect("payment")
    assert [one.kind for one in await pauses.of(payment, "payment")] == [kind]
    listed = (await run(database, "pauses")).output
    assert told.split(" is ", maxsplit=1)[0] in listed
    assert "second thoughts" in listed
    assert (await run(database, "resume", "payment", *what)).exit_code == 0
    assert await pauses.of(payment, "payment") == []
    outcome = await run(database, "resume", "payment", *what)
    assert (outcome.exit_code, "is not paused" in outcome.output) == (1, True)
    await payment.close()


async def test_what_cannot_be_meant_is_refused(database: Database) -> None:
    assert "hears no" in (await run(database, "pause", "payment", "--handler", "booking.book-session")).output
    both = await run(database, "pause", "payment", "--handler", "payment.take-payment", "--stream", "x")
    assert (both.exit_code, "not both" in both.output) == (1, True)
    assert (await run(database, "pause", "nobody")).exit_code == 2


async def test_open_circuits_are_listed(database: Database) -> None:
    payment = await database.connect("payment")
    await payment.execute("INSERT INTO bus.circuit VALUES ('payment', 'provider', 'open', now(), 3)")
    assert "payment's circuit provider: open" in (await run(database, "pauses")).output
    await payment.close()
