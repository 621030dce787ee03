"""Whether an error means no more than that the database cannot be reached or is busy now."""

from __future__ import annotations

import asyncpg

from bus import connection


def is_passing(error: BaseException) -> bool:
    """Also what asyncpg raises of its own when a connection was ended just before a statement went out on it."""
    return connection.is_passing(error) or isinstance(error, asyncpg.InternalClientError)
