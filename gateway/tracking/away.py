"""Whether an error means no more than that the database cannot be reached now."""

from __future__ import annotations

import asyncpg

from bus.connection import is_away


def is_passing(error: BaseException) -> bool:
    """Also what asyncpg raises of its own when a connection was ended just before a statement went out on it."""
    return is_away(error) or isinstance(error, asyncpg.InternalClientError)
