"""Rebuilding a service's tables from the log, beside the live ones to compare them, or in their place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import asyncpg

from bus.connection import Connection
from bus.errors import Refusal
from bus.message import Catalogue, Envelope, Event
from bus.reading import MESSAGE_COLUMNS
from bus.retention import must_have_all
from bus.service import ApplyMany, Service

CHUNK: Final = 1_000
DIFFERENCES_SHOWN: Final = 10


@dataclass(slots=True)
class TableComparison:
    """How a live table and its rebuilt twin differ: rows as PostgreSQL prints them."""

    table: str
    rows: int
    only_live: list[str] = field(default_factory=list)
    only_rebuilt: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not self.only_live and not self.only_rebuilt


Progress = Callable[[int], None]
"""Told how many messages have been applied so far."""


async def verify(dsn: str, service: Service, progress: Progress) -> list[TableComparison]:
    """Replays into a shadow schema and compares it with the live tables, all as of one snapshot of the database.

    The service may go on working meanwhile. Needs a connection that may make a schema.
    """
    shadow = f"{service.name}_rebuild"
    snapshot = await asyncpg.connect(dsn)
    writer = await asyncpg.connect(dsn)
    try:
        async with snapshot.transaction(isolation="repeatable_read", readonly=True):
            await must_have_all(snapshot, Catalogue(service.applies).names)
            tables = await _derived_tables(snapshot, service)
            await _make_shadow(writer, service, shadow, tables)
            await writer.execute(f"SET search_path = {shadow}, {service.name}, bus, pg_temp")
            await _apply_all(_messages(snapshot, service), writer, service, progress)
            return [await _compare(snapshot, writer, service.name, shadow, table) for table in tables]
    finally:
        await writer.execute("RESET search_path")
        await writer.execute(f"DROP SCHEMA IF EXISTS {shadow} CASCADE")
        await writer.close()
        await snapshot.close()


async def rebuild(dsn: str, service: Service, progress: Progress) -> int:
    """Empties the service's derived tables and fills them from the log, in one transaction.

    The service must not be at work: its lease is taken for as long as this lasts. Returns the number of messages.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await must_have_all(connection, Catalogue(service.applies).names)
            await _take_the_place_of(connection, service)
            tables = await _derived_tables(connection, service)
            names = ", ".join(f'{service.name}."{table}"' for table in tables)
            await connection.execute(f"TRUNCATE {names}")
            await connection.execute(f"SET LOCAL search_path = {service.name}, bus, pg_temp")
            return await _apply_all(_messages(connection, service), connection, service, progress)
    finally:
        await connection.close()


async def _take_the_place_of(connection: Connection, service: Service) -> None:
    held = await connection.fetchval(
        """
        SELECT true FROM bus.lease AS l
        WHERE l.name = $1 AND NOT l.released AND l.expires_at > clock_timestamp()
          AND EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = l.backend AND a.backend_start = l.backend_start)
        FOR UPDATE
        """,
        f"consumer:{service.name}",
    )
    if held:
        raise Refusal(f"{service.name} is at work: stop its worker first, or compare with --verify.")


async def _derived_tables(connection: Connection, service: Service) -> list[str]:
    rows = await connection.fetch(
        """
        SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname <> ALL ($2::text[]) ORDER BY 1
        """,
        service.name,
        list(service.kept_tables),
    )
    return [row["relname"] for row in rows]


async def _make_shadow(writer: Connection, service: Service, shadow: str, tables: list[str]) -> None:
    await writer.execute(f"DROP SCHEMA IF EXISTS {shadow} CASCADE")
    await writer.execute(f"CREATE SCHEMA {shadow}")
    for table in tables:
        await writer.execute(f'CREATE TABLE {shadow}."{table}" (LIKE {service.name}."{table}" INCLUDING ALL)')


async def _messages(connection: Connection, service: Service) -> AsyncIterator[Envelope]:
    """What made the tables as they are in this snapshot: own events, and those of others up to the cursor.

    What was set aside (parked, dead) is left out, as it was live.
    """
    catalogue = Catalogue(service.applies)
    own = [message.name for message in service.says]
    cursor = connection.cursor(
        f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox AS o
        WHERE o.name = ANY ($1::text[])
          AND (o.name = ANY ($2::text[])
               OR o.position <= (SELECT coalesce(max(to_position), 0) FROM bus.progress WHERE consumer = $3)
                  AND NOT EXISTS (SELECT FROM bus.dead_letter AS d WHERE d.consumer = $3 AND d.position = o.position)
                  AND NOT EXISTS (SELECT FROM bus.parked AS p
                                  WHERE p.consumer = $3 AND p.stream = o.stream AND o.position >= p.head))
        ORDER BY o.position
        """,  # noqa: S608 - constants of this package
        catalogue.names,
        own,
        service.name,
        prefetch=CHUNK,
    )
    async for row in cursor:
        yield Envelope(*row)


async def _apply_all(
    messages: AsyncIterator[Envelope], writer: Connection, service: Service, progress: Progress
) -> int:
    catalogue = Catalogue(service.applies)
    applied = 0
    chunk: list[Event] = []
    async for envelope in messages:
        message = catalogue.read(envelope).message
        assert isinstance(message, Event)
        chunk.append(message)
        if len(chunk) == CHUNK:
            await _apply(chunk, writer, service)
            applied += len(chunk)
            progress(applied)
            chunk = []
    await _apply(chunk, writer, service)
    progress(applied + len(chunk))
    return applied + len(chunk)


async def _apply(events: list[Event], writer: Connection, service: Service) -> None:
    async with writer.transaction():
        for kind, run in groupby(events, type):
            apply = service.applies[kind]
            if isinstance(apply, ApplyMany):
                await apply.apply(writer, list(run))
            else:
                for event in run:
                    await apply(writer, event)


async def _compare(snapshot: Connection, writer: Connection, live: str, shadow: str, table: str) -> TableComparison:
    sums = [
        await connection.fetch(
            f"""
            SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS digest
            FROM {schema}."{table}" AS t
            """  # noqa: S608 - names out of the catalogue
        )
        for schema, connection in ((live, snapshot), (shadow, writer))
    ]
    comparison = TableComparison(table, sums[0][0]["rows"])
    if sums[0] != sums[1]:
        sides = [
            {row["text"] for row in await connection.fetch(f'SELECT t::text AS text FROM {schema}."{table}" AS t')}  # noqa: S608
            for schema, connection in ((live, snapshot), (shadow, writer))
        ]
        comparison.only_live = sorted(sides[0] - sides[1])[:DIFFERENCES_SHOWN] or ["(a row more than once)"]
        comparison.only_rebuilt = sorted(sides[1] - sides[0])[:DIFFERENCES_SHOWN]
    return comparison
