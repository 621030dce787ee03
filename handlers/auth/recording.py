"""Recording a licence: what stands on it is sealed here, and the log hears of category and validity alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from bus.connection import Connection
from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth import rules
from handlers.auth.desk import Caller, Desk
from handlers.auth.documents import sealed_document
from handlers.auth.events import LicenceRecorded
from handlers.auth.in_force import rules_in_force
from handlers.auth.model import MAY_JUDGE_LICENCES, PersonUnknown, must_be
from handlers.auth.people import seal_of
from handlers.auth.rule_set import RuleSet
from handlers.auth.spelling import one_spelling


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands on a licence."""

    category: str
    number: str
    authority: str
    valid_from: datetime | date
    valid_until: datetime | date  # of days, the last one counts wholly


class ValidityEmpty(Rejected):
    """A licence ends after it begins."""


class CategoryUnknown(Rejected):
    """The range's rules know no licence of category {category}; they know: {known}."""


async def record_licence(desk: Desk, caller: Caller, person: UUID, entry: Entry) -> UUID:
    """Records a licence. The same one entered again is the same licence, and nothing is said."""
    must_be(MAY_JUDGE_LICENCES, caller.roles)
    licence = uuid7()
    async with desk.transaction() as connection:
        entry, begin, end = _understood(entry, await rules_in_force(connection))
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
            valid_from=begin,
            valid_until=end,
        )
        await desk.outbox.say(connection, [recorded], actor=caller.actor, correlation=uuid7())
    return licence


def _understood(entry: Entry, rule_set: RuleSet) -> tuple[Entry, datetime, datetime]:
    """The entry with its days as moments; raises where the rules in force know no such licence."""
    begin = _moment(entry.valid_from, rule_set)
    end = _moment(entry.valid_until, rule_set, after=1)
    if begin >= end:
        raise ValidityEmpty
    known = rules.known_categories(rule_set)
    if entry.category not in known:
        raise CategoryUnknown(category=entry.category, known=", ".join(known))
    return replace(entry, valid_from=begin, valid_until=end), begin, end


def _moment(when: datetime | date, rule_set: RuleSet, after: int = 0) -> datetime:
    """A moment as it is; of a day its beginning in the range's time zone, or that of the day so many after it."""
    if isinstance(when, datetime):
        return when
    return rules.day_begins(when + timedelta(days=after), rule_set.time_zone)


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
