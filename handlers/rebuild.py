"""Rebuilding a service's tables from the log, beside the live ones to compare them, or in their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import groupby
from typing import Final

import asyncpg

from bus.backoff import full_jitter
from bus.connection import Connection
from bus.errors import Refusal
from bus.identity import uuid7
from bus.message import Catalogue, Envelope, Event
from bus.reading import MESSAGE_COLUMNS
from bus.retention import must_have_all
from bus.service import ApplyMany, Service

CHUNK: Final = 1_000
PASSES: Final = 20
CATCH_UP: Final = 2_000  # messages left that are applied while the service waits
LOCK_TIMEOUT_S: Final = 2
LOCK_ATTEMPTS: Final = 30
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
    snapshot = await asyncpg.connect(dsn)
    writer = await asyncpg.connect(dsn)
    try:
        async with snapshot.transaction(isolation="repeatable_read", readonly=True):
            await must_have_all(snapshot, Catalogue(service.applies).names)
            tables = await derived_tables(snapshot, service)
            async with _shadow(writer, service, tables) as shadow:
                done = await _done_by(snapshot, service, quiet=True)
                await apply_all(_between(snapshot, service, NOTHING, done), writer, service, progress)
                return [await _compare(snapshot, writer, service.name, shadow, table) for table in tables]
    finally:
        await writer.close()
        await snapshot.close()


async def rebuild(dsn: str, service: Service, progress: Progress) -> int:
    """Fills the service's derived tables anew from the log, whether the service is at work or not.

    They are made beside the live ones, pass after pass, until little is left; only for that, and to copy the rows over,
    are the live ones locked. Returns the number of messages applied. Needs a connection that may make a schema.
    """
    reader = await asyncpg.connect(dsn)
    writer = await asyncpg.connect(dsn)
    try:
        async with reader.transaction():
            await must_have_all(reader, Catalogue(service.applies).names)
            tables = await derived_tables(reader, service)
            async with _shadow(writer, service, tables) as shadow:
                done, applied = NOTHING, 0
                for _ in range(PASSES):
                    before, done = done, await _done_by(reader, service)
                    more = await apply_all(
                        _between(reader, service, before, done), writer, service, progress, before=applied
                    )
                    applied += more
                    if more <= CATCH_UP:
                        break
                return applied + await _swap(writer, service, shadow, tables, done)
    finally:
        await writer.close()
        await reader.close()


@asynccontextmanager
async def _shadow(writer: Connection, service: Service, tables: Sequence[str]) -> AsyncIterator[str]:
    """A schema with empty twins of these tables, in which the service's `apply` writes; for one at a time."""
    lease, shadow = f"rebuild:{service.name}", f"{service.name}_rebuild"
    fence = await writer.fetchval("SELECT fence FROM bus.take_lease($1, $2, interval '1 day')", lease, uuid7())
    if fence is None:
        raise Refusal(f"{service.name} is being rebuilt or compared by somebody else.")
    try:
        await writer.execute(f"DROP SCHEMA IF EXISTS {shadow} CASCADE")  # left by one that was killed
        await writer.execute(f"CREATE SCHEMA {shadow}")
        for table in tables:
            await writer.execute(f'CREATE TABLE {shadow}."{table}" (LIKE {service.name}."{table}" INCLUDING ALL)')
        await writer.execute(f"SET search_path = {shadow}, {service.name}, bus, pg_temp")
        yield shadow
    finally:
        if not writer.is_closed():
            await writer.execute("RESET search_path")
            await writer.execute(f"DROP SCHEMA IF EXISTS {shadow} CASCADE")
            await writer.execute("SELECT bus.release_lease($1, $2)", lease, fence)


@dataclass(frozen=True, slots=True)
class Done:
    """What has made a service's tables: its own events up to a position, and those of others that it has passed.

    What was set aside (parked, dead) was passed and has not been done.
    """

    own: int
    cursors: tuple[int, ...]  # up to where it has passed each of the 64 partitions
    dead: frozenset[int]
    parked: frozenset[tuple[str, int]]  # streams, and the position from which on they wait


NOTHING: Final = Done(-1, (-1,) * 64, frozenset(), frozenset())


async def _done_by(connection: Connection, service: Service, *, quiet: bool = False) -> Done:
    """What has been done by now; `quiet`: nobody writes the service's tables, so what is committed is all there is."""
    row = await connection.fetchrow(
        """
        SELECT bus.cursors_of($1) AS cursors,
               ARRAY(SELECT position FROM bus.dead_letter WHERE consumer = $1) AS dead,
               ARRAY(SELECT (stream, head) FROM bus.parked WHERE consumer = $1) AS parked
        """,
        service.name,
    )
    assert row is not None
    own = await connection.fetchval("SELECT last_value FROM bus.outbox_position" if quiet else "SELECT bus.horizon()")
    return Done(own, tuple(row["cursors"]), frozenset(row["dead"]), frozenset(tuple(one) for one in row["parked"]))


async def _between(connection: Connection, service: Service, before: Done, now: Done) -> AsyncIterator[Envelope]:
    """The messages that were done since: above where it stood before, or set aside then and not any more."""
    back = {*(before.dead - now.dead), *(head for _, head in before.parked - now.parked)}
    cursor = connection.cursor(
        f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox AS o
        WHERE o.position >= $1 AND o.name = ANY ($2::text[])
          AND CASE WHEN o.name = ANY ($3::text[]) THEN o.position > $4 AND o.position <= $5 ELSE
              o.position <= ($6::bigint[])[o.partition + 1] AND o.position <> ALL ($7::bigint[]) AND NOT EXISTS (
                  SELECT FROM unnest($8::text[], $9::bigint[]) AS w (stream, head)
                  WHERE w.stream = o.stream AND o.position >= w.head)
              AND NOT (
                  o.position <= ($10::bigint[])[o.partition + 1] AND o.position <> ALL ($11::bigint[]) AND NOT EXISTS (
                      SELECT FROM unnest($12::text[], $13::bigint[]) AS w (stream, head)
                      WHERE w.stream = o.stream AND o.position >= w.head)) END
        ORDER BY o.position
        """,  # noqa: S608 - constants of this package
        min((before.own, *before.cursors, *back)),
        Catalogue(service.applies).names,
        [message.name for message in service.says],
        before.own,
        now.own,
        *(part for one in (now, before) for part in (list(one.cursors), list(one.dead), *_columns(one.parked))),
        prefetch=CHUNK,
    )
    async for row in cursor:
        yield Envelope(*row)


def _columns(parked: frozenset[tuple[str, int]]) -> tuple[list[str], list[int]]:
    ordered = sorted(parked)
    return [stream for stream, _ in ordered], [head for _, head in ordered]


async def _swap(writer: Connection, service: Service, shadow: str, tables: Sequence[str], done: Done) -> int:
    """Puts the rebuilt rows in the place of the live ones, in a transaction in which nobody else reads or writes them.

    The tables are locked before anything is read: whoever has written them has committed by then, and whoever has not
    has not written yet.
    """
    names = ", ".join(f'{service.name}."{table}"' for table in tables)
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            async with writer.transaction():
                await writer.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
                await writer.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
                now = await _done_by(writer, service, quiet=True)
                applied = await apply_all(_between(writer, service, done, now), writer, service, lambda _: None)
                await writer.execute(f"TRUNCATE {names}")
                for table in await _parents_first(writer, service, tables):
                    columns = await _columns_of(writer, service, table)
                    await writer.execute(
                        f'INSERT INTO {service.name}."{table}" ({columns}) SELECT {columns} FROM {shadow}."{table}"'  # noqa: S608
                    )
                return applied
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as busy:
            if attempt == LOCK_ATTEMPTS:
                raise Refusal(f"{service.name}'s tables are read at such length that they cannot be swapped.") from busy
            await asyncio.sleep(full_jitter(attempt, longest_s=LOCK_TIMEOUT_S))
    raise AssertionError("the last attempt returns or raises")


async def _parents_first(connection: Connection, service: Service, tables: Sequence[str]) -> list[str]:
    """The tables, none before one that it refers to; what refers to itself is checked when all is there."""
    rows = await connection.fetch(
        """
        SELECT c.relname AS child, p.relname AS parent
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS p ON p.oid = k.confrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE k.contype = 'f' AND n.nspname = $1 AND c.oid <> p.oid
        """,
        service.name,
    )
    order = TopologicalSorter({table: set[str]() for table in tables})
    for row in rows:
        if row["child"] in tables:
            order.add(row["child"], row["parent"])
    return [table for table in order.static_order() if table in tables]


async def _columns_of(connection: Connection, service: Service, table: str) -> str:
    """The columns that are written; the generated ones come by themselves."""
    columns: str = await connection.fetchval(
        """
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
        FROM pg_attribute AS a
        WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass
          AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        """,
        service.name,
        table,
    )
    return columns


async def derived_tables(connection: Connection, service: Service) -> list[str]:
    rows = await connection.fetch(
        """
        SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname <> ALL ($2::text[]) ORDER BY 1
        """,
        service.name,
        list(service.kept_tables),
    )
    return [row["relname"] for row in rows]


async def apply_all(
    messages: AsyncIterator[Envelope], writer: Connection, service: Service, progress: Progress, *, before: int = 0
) -> int:
    """Applies messages in order; returns how many. `before` were applied before them."""
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
            progress(before + applied)
            chunk = []
    await _apply(chunk, writer, service)
    progress(before + applied + len(chunk))
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
