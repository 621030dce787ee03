"""From an order to a file: what is read, and what is made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from bus.connection import Connection, close, connect
from handlers.stats.reports import tables
from handlers.stats.reports.card import card
from handlers.stats.reports.club import club
from handlers.stats.reports.order import Order, Task, Unmakeable, Word
from handlers.stats.reports.pdf import pdf
from handlers.stats.reports.reading import Session, Shot, ring_counts, sessions, shots
from handlers.stats.reports.season import season

Tell = Callable[[Word], None]


async def make(task: Task, tell: Tell) -> bytes:
    """The file that was ordered, read as of one moment; raises Unmakeable."""
    order = task.order
    tell(Word(stage="reading", percent=5))
    connection = await connect(task.dsn, "firingline-stats/report")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = await _sessions(connection, order)
            if order.format != "pdf":
                return await _table(connection, order, found, tell)
            document = await _document(connection, order, found, tell)
    finally:
        await close(connection)
    tell(Word(stage="writing", percent=70))
    made = f"{task.at:%Y-%m-%d %H:%M} UTC"
    return pdf(document, f"Made by Firingline on {made} as report {order.report}", task.at)


async def _sessions(connection: Connection, order: Order) -> list[Session]:
    if order.kind == "session-card":
        found = await sessions(connection, session=order.session, person=order.person)
        if not found:
            raise Unmakeable("The session is not there any more.")
        return found
    return await sessions(
        connection, person=order.person, discipline=order.discipline, since=order.since, until=order.until
    )


async def _table(connection: Connection, order: Order, found: Sequence[Session], tell: Tell) -> bytes:
    """Of the club a row a session; of a shooter a row a shot."""
    if order.kind == "club-report":
        table = tables.of_sessions(found)
    else:
        read = await shots(connection, found)
        tell(Word(stage="drawing", percent=50))
        table = tables.of_shots(found, read)
    tell(Word(stage="writing", percent=80))
    return tables.written(table, order.format)


async def _document(connection: Connection, order: Order, found: Sequence[Session], tell: Tell) -> dict[str, Any]:
    zone = ZoneInfo(order.time_zone)
    if order.kind == "session-card":
        fired: Sequence[Shot] = await shots(connection, found)
        tell(Word(stage="drawing", percent=40))
        return card(found[0], fired, zone)
    assert order.since is not None
    assert order.until is not None
    if order.kind == "club-report":
        tell(Word(stage="drawing", percent=40))
        return club(found, order.since, order.until, zone)
    assert order.person is not None
    of_discipline: dict[str, list[Session]] = defaultdict(list)
    for one in found:
        of_discipline[one.discipline].append(one)
    rings = {name: await ring_counts(connection, some) for name, some in of_discipline.items()}
    tell(Word(stage="drawing", percent=40))
    return season(order.person, found, rings, order.since, order.until, zone)
