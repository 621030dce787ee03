"""Opens a connection to the database, or says in one sentence why that cannot be."""

from typing import Final

import asyncpg

from bus.errors import Refusal

CONNECT_S: Final = 5.0


async def connect(url: str) -> asyncpg.Connection:
    """Connect, with every ordinary failure turned into a sentence that names the server but no password."""
    try:
        return await asyncpg.connect(url, timeout=CONNECT_S)
    except ValueError as error:
        raise Refusal(f"DATABASE_URL is not an address of a PostgreSQL database: {error}.") from None
    except asyncpg.InvalidCatalogNameError as error:
        raise Refusal(f"The database server has no such database: {error}.") from None
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise Refusal(f"The database server does not let us in: {error}.") from None
    except asyncpg.CannotConnectNowError as error:
        raise Refusal(f"The database server takes no connections now: {error}.") from None
    except TimeoutError:
        raise Refusal(f"The database server did not answer within {CONNECT_S:.0f} s.") from None
    except OSError as error:
        raise Refusal(f"The database server cannot be reached: {error.strerror or error}.") from None
