"""Licences as documents: what stands on them, sealed, beside what the rules need of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.auth.vault import Seal


@dataclass(frozen=True, slots=True)
class Document:
    """A licence with what is written on it."""

    licence: UUID
    category: str
    number: str
    authority: str
    valid_from: datetime
    valid_until: datetime
    state: str
    reason: str | None


def sealed_document(seal: Seal, licence: UUID, number: str, authority: str) -> bytes:
    return seal.close(json.dumps({"number": number, "authority": authority}).encode(), f"licence:{licence}")


async def read_documents(connection: Connection, seal: Seal, person: UUID) -> Sequence[Document]:
    rows = await connection.fetch(
        """
        SELECT l.licence, l.category, l.valid_from, l.valid_until, l.state, l.reason, d.sealed
        FROM licence AS l JOIN licence_document AS d ON d.licence = l.licence
        WHERE l.person = $1
        ORDER BY l.valid_from, l.licence
        """,
        person,
    )
    return [_document(seal, row) for row in rows]


def _document(seal: Seal, row: Record) -> Document:
    written = json.loads(seal.open(row["sealed"], f"licence:{row['licence']}"))
    return Document(
        licence=row["licence"],
        category=row["category"],
        number=written["number"],
        authority=written["authority"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        state=row["state"],
        reason=row["reason"],
    )
