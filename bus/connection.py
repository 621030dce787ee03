"""Connections to PostgreSQL with the time-outs that this project relies on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 12.0
ACQUIRE_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
POOL_CLOSE_TIMEOUT_S: Final = 1.5

SERVER_SETTINGS: Final = {
    "timezone": "UTC",
    "jit": "off",
    "tcp_user_timeout": "10s",
    "client_connection_check_interval": "5s",
}

DATABASE_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when the server ends a connection at an unexpected moment
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # no connection left, the disk full, no memory
    asyncpg.PostgresSystemError,  # the disk does not answer
    asyncpg.ReadOnlySQLTransactionError,  # this server is a standby now
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What is raised when the database, or the way to it, is away for the moment."""

PASSING: Final = (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)
"""What a statement may meet with on a busy database, and will not the next time."""


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database is away, and not that the caller handed it something wrong."""
    return isinstance(error, DATABASE_AWAY) and not isinstance(error, ValueError)


def is_producer_expired(error: BaseException) -> bool:
    """Whether the log refused an append because the process's own token ran out before it could be renewed."""
    # A login that is refused has the same class, and is FATAL.
    return isinstance(error, asyncpg.InvalidAuthorizationSpecificationError) and error.severity_en == "ERROR"


def is_partition_missing(error: BaseException) -> bool:
    """Whether the log has no partition for the next position: maintenance makes one within a second."""
    return isinstance(error, asyncpg.CheckViolationError) and str(error).startswith("no partition of relation")


def is_passing(error: BaseException) -> bool:
    """Whether the same thing may well succeed a little later: for loops that have no caller to tell."""
    return is_away(error) or isinstance(error, PASSING) or is_producer_expired(error) or is_partition_missing(error)


async def connect(dsn: str, application: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of one's own, for what must not be interrupted by others: listening, a lease, a worker's batch."""
    return await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={**SERVER_SETTINGS, "application_name": application},
    )


async def connect_pool(dsn: str, application: str, *, most: int) -> Pool:
    """A pool that connects when it is first used, so that a process can start while the database is away."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=most,
        reset=_as_it_is,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={**SERVER_SETTINGS, "application_name": application},
    )


async def _as_it_is(_connection: Connection) -> None:
    """Spares a round trip at each release: nobody here changes a session, and an open transaction is rolled back."""


async def close(connection: Connection) -> None:
    """Ends a connection in a bounded time, whatever state the way to the server is in."""
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except DATABASE_AWAY:
        connection.terminate()


async def close_pool(pool: Pool) -> None:
    """Ends a pool in a bounded time."""
    try:
        async with asyncio.timeout(POOL_CLOSE_TIMEOUT_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
