"""A service's tables as they were at a moment, made from the log where nobody else sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from bus.connection import Connection
from bus.errors import Refusal
from bus.message import Catalogue, Envelope
from bus.reading import MESSAGE_COLUMNS
from bus.retention import must_have_all
from bus.service import Service
from handlers.rebuild import apply_all, derived_tables

CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class Upto:
    """How much of the log counts: what was written up to a moment, or up to a position, both included."""

    at: datetime | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """The tables of a service at that moment. They are gone when it is left."""

    connection: Connection
    tables: Sequence[str]
    messages: int

    async def count(self, table: str) -> int:
        rows: int = await self.connection.fetchval(f'SELECT count(*) FROM pg_temp."{table}"')  # noqa: S608
        return rows

    async def rows(self, table: str) -> AsyncIterator[str]:
        """The rows as JSON objects, in a fixed order."""
        async with self.connection.transaction():
            query = f'SELECT to_jsonb(t)::text AS row FROM pg_temp."{table}" AS t ORDER BY 1'  # noqa: S608
            async for row in self.connection.cursor(query, prefetch=CHUNK):
                yield row["row"]


@asynccontextmanager
async def past(dsn: str, service: Service, upto: Upto) -> AsyncIterator[Past]:
    """Applies what the log says up to then to temporary tables, on a connection that can write nothing else.

    Raises a Refusal if some of it was dropped. Needs a connection that may make temporary tables and read the
    service's, whose shape they have.
    """
    reader = await asyncpg.connect(dsn)
    writer = await asyncpg.connect(dsn)
    try:
        horizon: int = await reader.fetchval("SELECT bus.horizon()")
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            await must_have_all(reader, Catalogue(service.applies).names)
            tables = await derived_tables(reader, service)
            for table in tables:
                await writer.execute(f'CREATE TEMPORARY TABLE "{table}" (LIKE {service.name}."{table}" INCLUDING ALL)')
            await writer.execute(f"SET search_path = pg_temp, {service.name}, bus")
            await writer.execute("SET default_transaction_read_only = on")  # which leaves temporary tables alone
            messages = await apply_all(_messages(reader, service, upto, horizon), writer, service, lambda _: None)
        yield Past(writer, tables, messages)
    finally:
        await writer.close()
        await reader.close()


async def _messages(connection: Connection, service: Service, upto: Upto, horizon: int) -> AsyncIterator[Envelope]:
    last = horizon if upto.position is None else min(horizon, upto.position)
    query = f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox
        WHERE name = ANY ($1::text[]) AND position <= $2 AND ($3::timestamptz IS NULL OR at <= $3) ORDER BY position
        """  # noqa: S608 - constants of this package
    async for row in connection.cursor(query, Catalogue(service.applies).names, last, upto.at, prefetch=CHUNK):
        yield Envelope(*row)


def chosen(past_tables: Sequence[str], wanted: Sequence[str], service: str) -> list[str]:
    """The tables that are wanted, all if none is named."""
    unknown = sorted(set(wanted) - set(past_tables))
    if unknown:
        raise Refusal(f"{service} has no table {', '.join(unknown)} that is made from the log.")
    return [table for table in past_tables if not wanted or table in wanted]
