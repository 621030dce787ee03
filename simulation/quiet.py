"""After the last shooter has gone: waiting until the range has done all that it has to do."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from asyncpg import Record

from bus.connection import Connection, close, connect
from handlers.wiring import SERVICES

QUIET_WITHIN_S: Final = 30.0
LOOK_S: Final = 0.2


async def until_quiet(admin_url: str, shots: int, *, all_over: bool) -> list[str]:
    """Waits until nothing is under way and this many shots are stored; returns what still is when patience ends.

    After a day that was not `all_over`, what was asked for later times (a release, say) may still lie ahead; what lies
    beyond the day, like the end of a licence, always may.
    """
    deadline_s = time.monotonic() + QUIET_WITHIN_S
    connection = await connect(admin_url, "firingline-simulation")
    try:
        while left := await _under_way(connection, shots, all_over=all_over):
            if time.monotonic() > deadline_s:
                return left
            await asyncio.sleep(LOOK_S)
    finally:
        await close(connection)
    return []


async def _under_way(connection: Connection, shots: int, *, all_over: bool) -> list[str]:
    behind = await _messages_not_read(connection)
    waiting = await _what_else_waits(connection, shots, all_over=all_over)
    return [
        *(f"{row['consumer']} has {row['messages']} messages to read" for row in behind),
        *(f"{row['number']} {row['what']}" for row in waiting),
    ]


async def _messages_not_read(connection: Connection) -> list[Record]:
    services = [make() for make in SERVICES.values()]
    return await connection.fetch(
        """
        WITH reading AS MATERIALIZED (
            SELECT c.consumer, bus.cursors_of(c.consumer) AS cursors
            FROM (SELECT DISTINCT u.consumer FROM unnest($1::text[]) AS u (consumer)) AS c
        )
        SELECT h.consumer, count(*) AS messages
        FROM unnest($1::text[], $2::text[]) AS h (consumer, name)
        JOIN reading AS r ON r.consumer = h.consumer
        JOIN bus.outbox AS o ON o.name = h.name
        WHERE o.position > r.cursors[o.partition + 1]
        GROUP BY h.consumer
        """,
        [service.name for service in services for _ in service.catalogue.names],
        [name for service in services for name in service.catalogue.names],
    )


async def _what_else_waits(connection: Connection, shots: int, *, all_over: bool) -> list[Record]:
    return await connection.fetch(
        """
        SELECT w.what, w.number
        FROM (
            SELECT 'commands have no outcome' AS what, count(*) AS number
            FROM bus.accepted AS a LEFT JOIN bus.outcome AS e ON e.command = a.id WHERE e.command IS NULL
            UNION ALL SELECT 'streams are parked', count(*) FROM bus.parked
            UNION ALL SELECT 'commands are scheduled', count(*) FROM bus.scheduled
            WHERE $2 AND due_at < now() + interval '1 day'
            UNION ALL SELECT 'shots have not arrived', $1 - count(*) FROM bus.outbox WHERE topic = 'telemetry'
        ) AS w
        WHERE w.number > 0
        """,
        shots,
        all_over,
    )
