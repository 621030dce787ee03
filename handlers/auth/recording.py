"""Recording a licence: what stands on it is sealed here, and the log hears of category and validity alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bus.connection import Connection
from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth import rules
from handlers.auth.desk import Caller, Desk
from handlers.auth.documents import sealed_document
from handlers.auth.events import LicenceRecorded
from handlers.auth.model import MAY_JUDGE_LICENCES, PersonUnknown, must_be
from handlers.auth.people import seal_of
from handlers.auth.spelling import one_spelling


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands on a licence."""

    category: str
    number: str
    authority: str
    valid_from: datetime
    valid_until: datetime


class ValidityEmpty(Rejected):
    """A licence ends after it begins."""


class CategoryUnknown(Rejected):
    """The range's rules know no licence of category {category}; they know: {known}."""


async def record_licence(desk: Desk, caller: Caller, person: UUID, entry: Entry) -> UUID:
    """Records a licence. The same one entered again is the same licence, and nothing is said."""
    must_be(MAY_JUDGE_LICENCES, caller.roles)
    if entry.valid_from >= entry.valid_until:
        raise ValidityEmpty
    known = rules.known_categories()
    if entry.category not in known:
        raise CategoryUnknown(category=entry.category, known=", ".join(known))
    licence = uuid7()
    async with desk.transaction() as connection:
        seal = await seal_of(desk, connection, person)
        if seal is None:
            raise PersonUnknown
        fingerprint = _fingerprint(desk, person, entry)
        sealed = sealed_document(seal, licence, entry.number, entry.authority)
        if not await _insert_document(connection, licence, person, fingerprint, sealed):
            return await _find_document(connection, fingerprint)
        recorded = LicenceRecorded(
            person=person,
            licence=licence,
            category=entry.category,
            valid_from=entry.valid_from,
            valid_until=entry.valid_until,
        )
        await desk.outbox.say(connection, [recorded], actor=caller.actor, correlation=uuid7())
    return licence


def _fingerprint(desk: Desk, person: UUID, entry: Entry) -> bytes:
    return desk.vault.fingerprint(
        "licence",
        str(person),
        entry.category,
        one_spelling(entry.number),
        one_spelling(entry.authority),
        entry.valid_from.isoformat(),
        entry.valid_until.isoformat(),
    )


async def _insert_document(
    connection: Connection, licence: UUID, person: UUID, fingerprint: bytes, sealed: bytes
) -> bool:
    status = await connection.execute(
        """
        INSERT INTO licence_document (licence, person, fingerprint, sealed) VALUES ($1, $2, $3, $4)
        ON CONFLICT (fingerprint) DO NOTHING
        """,
        licence,
        person,
        fingerprint,
        sealed,
    )
    return status == "INSERT 0 1"


async def _find_document(connection: Connection, fingerprint: bytes) -> UUID:
    licence: UUID = await connection.fetchval(
        "SELECT licence FROM licence_document WHERE fingerprint = $1", fingerprint
    )
    return licence
