"""Opens a connection to the database, or says in one sentence why that cannot be."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import asyncpg

from bus.errors import Refusal

CONNECT_S: Final = 5.0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection; what goes wrong with the server, and not with what we ask of it, becomes a sentence."""
    connection = await connect(url)
    try:
        with _in_one_sentence():
            yield connection
    finally:
        await connection.close()


async def connect(url: str) -> asyncpg.Connection:
    """Connect, with every ordinary failure turned into a sentence that names the server but no password."""
    with _in_one_sentence():
        return await asyncpg.connect(url, timeout=CONNECT_S)


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise Refusal(f"DATABASE_URL is not an address of a PostgreSQL database: {error}.") from None
    except asyncpg.InvalidCatalogNameError as error:
        raise Refusal(f"The database server has no such database: {error}.") from None
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise Refusal(f"The database server does not let us in: {error}.") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refusal(f"The user in DATABASE_URL may not do what this takes: {error}.") from None
    except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
        raise Refusal(f"The database server takes no connections now: {error}.") from None
    except asyncpg.DiskFullError:
        raise Refusal("The disk of the database server is full: free some space and start again.") from None
    except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError) as error:
        raise Refusal(f"The database server went away: {error}.") from None
    except TimeoutError:
        raise Refusal(f"The database server did not answer within {CONNECT_S:.0f} s.") from None
    except OSError as error:
        raise Refusal(f"The database server cannot be reached: {error.strerror or error}.") from None
