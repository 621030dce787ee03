"""Shots that were fired while fire had ceased are marked, whatever is heard first."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from uuid import UUID

from bus.message import Message
from handlers.booking.events import FireResumed
from handlers.stats.views import results
from tests.database import Database
from tests.handlers.scenario import NOON
from tests.handlers.stats.making import Stats, ceased, shot, started

CEASED = ceased()
RESUMED = FireResumed(
    range="hall", cease_fire=UUID(int=5), resumed_by="service:test", resumed_at=NOON + timedelta(seconds=200)
)
SHOTS = [shot(n, at_s=at_s) for n, at_s in enumerate((99, 100, 199, 200), start=1)]


async def marked(database: Database, *messages: Message) -> list[bool]:
    connection, gateway = await database.connect("stats"), await database.connect("gateway")
    transaction = connection.transaction()
    await transaction.start()
    await Stats(connection).hear(*messages)
    await transaction.commit()
    shots = await results.shots(gateway, UUID(int=1), None)
    await gateway.close()
    await connection.execute("DELETE FROM cease_fire; DELETE FROM shot; DELETE FROM session; DELETE FROM tally")
    await connection.close()
    assert shots is not None
    return [one.during_cease_fire for one in shots]


async def test_shots_between_the_order_and_its_end_are_marked(database: Database) -> None:
    streams: list[Sequence[Message]] = [[started(1)], [CEASED, RESUMED], SHOTS]
    for order in permutations(streams):
        assert await marked(database, *(one for stream in order for one in stream)) == [False, True, True, False]


async def test_all_are_marked_while_it_holds_and_none_of_another_range(database: Database) -> None:
    assert await marked(database, started(1), CEASED, *SHOTS) == [False, True, True, True]
    elsewhere = CEASED.model_copy(update={"lanes": ("lane-2",)})
    assert await marked(database, started(1), elsewhere, *SHOTS) == [False] * 4
