"""Whose messages count: each producer's signed statement is verified once, and bounds what it may have said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from bus.connection import Connection
from bus.message import Envelope

NOBODY: Final[frozenset[str]] = frozenset()

log = structlog.get_logger(__name__)


class Statement(Protocol):
    """What a service token says, once its signature has been verified."""

    @property
    def role(self) -> str: ...
    @property
    def boot(self) -> UUID: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def token_id(self) -> UUID: ...
    @property
    def expires_at(self) -> datetime: ...


VerifyStatement = Callable[[str], Awaitable[Statement | None]]
"""Verifies a service token's signature with the keys of then; None if it is no statement of auth's."""


class NotEntitled(Exception):  # noqa: N818 - a finding about the message
    """The message's producer was not entitled to append it."""


class Trust:
    """Remembers, per producer, which names its token entitles it to append."""

    def __init__(self, verify: VerifyStatement) -> None:
        self._verify = verify
        self._entitled: dict[int, frozenset[str]] = {}

    async def strangers(self, connection: Connection, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """The messages whose producer was not entitled to them."""
        for producer in {envelope.producer for envelope in envelopes} - self._entitled.keys():
            self._entitled[producer] = await self._names_of(connection, producer)
        return [one for one in envelopes if one.name not in self._entitled[one.producer]]

    async def must_be_entitled(self, connection: Connection, envelopes: Sequence[Envelope]) -> None:
        """Raises NotEntitled for the first message whose producer was not entitled to it."""
        for stranger in await self.strangers(connection, envelopes):
            raise NotEntitled(stranger.producer, stranger.name)

    async def _names_of(self, connection: Connection, producer: int) -> frozenset[str]:
        row = await connection.fetchrow(
            "SELECT role, boot, token_id, token, expires_at FROM bus.producer WHERE id = $1", producer
        )
        if row is None:
            return NOBODY
        statement = await self._verify(row["token"])
        if statement is None or not _is_of(statement, row):
            log.error("trust.producer-refused", producer=producer, role=row["role"])
            return NOBODY
        return frozenset(statement.names)


def _is_of(statement: Statement, registered: asyncpg.Record) -> bool:
    """Whether a producer registered what its token says: this role, this boot, once, and for no longer."""
    return bool(
        statement.role == registered["role"]
        and statement.boot == registered["boot"]
        and statement.token_id == registered["token_id"]
        and statement.expires_at >= registered["expires_at"]
    )
