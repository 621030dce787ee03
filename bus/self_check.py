"""What a server and a role must be like before a process works on them: settings that break promises are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from bus.connection import Connection
from bus.errors import Refusal

SERVER_VERSION: Final = 180_000
UNSAFE_SETTINGS: Final = {
    "fsync": ("off", "a power cut would lose what was acknowledged: set fsync = on"),
    "full_page_writes": ("off", "a power cut could tear pages: set full_page_writes = on"),
    "synchronous_commit": ("off", "a crash would lose what was acknowledged: set synchronous_commit = on"),
}
"""Settings, the value that is refused, and why and how to mend it."""


async def refuse_what_is_unsafe(connection: Connection, *, migrations: int, connections: int) -> None:
    """Raises a Refusal that names everything wrong with this server for this role, and how to mend it.

    `migrations` is the number of migrations this code knows; `connections` how many all processes may open together.
    """
    found = [
        *await _server(connection),
        *await _role(connection),
        *await _log(connection),
        *await _schema(connection, migrations),
        *await _room(connection, connections),
    ]
    if found:
        raise Refusal("This database cannot be used: " + "; ".join(found) + ".")


async def _server(connection: Connection) -> list[str]:
    found = []
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < SERVER_VERSION:
        found.append(f"it is PostgreSQL {version // 10_000}, and 18 is the oldest that will do")
    for name, (refused, why) in UNSAFE_SETTINGS.items():
        if await connection.fetchval("SELECT current_setting($1)", name) == refused:
            found.append(f"{name} is {refused}, and {why}")
    if await connection.fetchval("SHOW max_prepared_transactions") != "0":
        found.append(
            "max_prepared_transactions is not 0, and a prepared transaction would hold up all readers: set it to 0"
        )
    return found


async def _role(connection: Connection) -> list[str]:
    row = await connection.fetchrow("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user")
    assert row is not None
    powers = [word for word, has in (("SUPERUSER", row["rolsuper"]), ("BYPASSRLS", row["rolbypassrls"])) if has]
    return [
        f"the role {row['rolname']} has {power}, and could cross every border: ALTER ROLE {row['rolname']} NO{power}"
        for power in powers
    ]


async def _log(connection: Connection) -> list[str]:
    found = []
    cache = await connection.fetchval(
        "SELECT seqcache FROM pg_sequence WHERE seqrelid = to_regclass('bus.outbox_position')"
    )
    if cache not in (None, 1):
        found.append(
            f"the log's sequence caches {cache} values, and order would be lost: "
            "ALTER SEQUENCE bus.outbox_position CACHE 1"
        )
    unlogged = await connection.fetch(
        """
        SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'bus' AND c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1
        """
    )
    found += [
        f"bus.{row['relname']} is unlogged, and a crash would empty it: ALTER TABLE bus.{row['relname']} SET LOGGED"
        for row in unlogged
    ]
    return found


async def _schema(connection: Connection, migrations: int) -> list[str]:
    try:
        applied: Sequence[int] = await connection.fetchval(
            "SELECT array_agg(number ORDER BY number) FROM bus.migration"
        )
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        return ["it has no schema of Firingline's: run `firingline migrate`"]
    last = max(applied or [0])
    if last < migrations:
        return [f"its schema is of version {last}, and this code needs {migrations}: run `firingline migrate`"]
    if last > migrations:
        return [f"its schema is of version {last}, and this code knows {migrations}: start the newer version"]
    return []


async def _room(connection: Connection, connections: int) -> list[str]:
    room: int = await connection.fetchval(
        """
        SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               - current_setting('reserved_connections')::int
        """
    )
    if connections > room:
        return [f"all processes may open {connections} connections, and it allows {room}: raise max_connections"]
    return []
