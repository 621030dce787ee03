"""What payment's tests do at the desk, and read in the ledger."""

from collections.abc import Sequence
from uuid import UUID

from bus.connection import Connection
from bus.message import Message
from tests.handlers.armory.hearing import Hearing
from tests.handlers.armory.made import AT_COUNTER


async def desk(payment: Hearing, asked: Message, id_: int = 500) -> Sequence[Message]:
    return await payment.hears(asked, by=AT_COUNTER, id_=UUID(int=id_))


async def balances(connection: Connection) -> dict[str, int]:
    """What each account comes to, unless it is nothing."""
    found = await connection.fetch(
        "SELECT account, sum(amount_minor) FROM leg GROUP BY account HAVING sum(amount_minor) <> 0"
    )
    return {account: int(amount) for account, amount in found}
