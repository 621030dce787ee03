"""What is held on a person, told to that person or an admin; and destroyed, so that no backup brings it back.

Everything that says who somebody is is sealed under that person's key, so destroying the key also reaches the copies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from bus.connection import Connection
from bus.identity import uuid7
from handlers.auth import model, people, second_factor, store, throttle, views
from handlers.auth import session_store as rows
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.documents import Document
from handlers.auth.in_force import rules_in_force
from handlers.auth.model import PersonUnknown
from handlers.auth.session_store import Login
from handlers.auth.views import EntitlementView

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """All that auth holds on a person; what other services hold is under the opaque id alone."""

    person: UUID
    login: str = field(repr=False)
    display_name: str = field(repr=False)
    registered_at: datetime
    roles: Sequence[str]
    disabled: bool
    second_factor: bool
    licences: Sequence[Document] = field(repr=False)
    entitlements: Sequence[EntitlementView]
    logins: Sequence[Login]


async def export(desk: Desk, caller: Caller, person: UUID) -> Held:
    _must_be_own_or_admin(caller, person)
    profile = await people.profile(desk, Caller(person, frozenset()), person)
    async with desk.transaction() as connection:
        standing = await store.standing_of(connection, person)
        registered_at = await _registered_at(connection, person)
        if standing is None or registered_at is None or profile.login is None:
            raise PersonUnknown
        held = Held(
            person=person,
            login=profile.login,
            display_name=profile.display_name,
            registered_at=registered_at,
            roles=sorted(standing.roles),
            disabled=standing.disabled,
            second_factor=await _has_second_factor(connection, person),
            licences=profile.licences,
            entitlements=await views.entitlements(connection, person),
            logins=await rows.open_sessions(connection, person),
        )
    log.info("people.exported", person=str(person), by=caller.actor)
    return held


async def erase(desk: Desk, caller: Caller, person: UUID, password: str) -> None:
    """Erases a person at that person's wish, or an admin's; the password is that of who asks."""
    _must_be_own_or_admin(caller, person)
    keys = await second_factor.prove_password(desk, caller.person, password)
    async with desk.transaction() as connection:
        await throttle.forgive(connection, keys, await now(connection))
    await _erase(desk, person, caller.actor)


async def erase_again(desk: Desk) -> None:
    """Erases whom an older backup brought back. It runs before anybody is served."""
    for person in await asyncio.to_thread(desk.erasures.persons):
        async with desk.transaction() as connection:
            back = await _is_back(connection, person)
        if back:
            log.warning("people.erased-again", person=str(person))
            await _erase(desk, person, "service:auth", listed=True)


async def _erase(desk: Desk, person: UUID, actor: str, *, listed: bool = False) -> None:
    async with desk.transaction() as connection:
        book = await store.role_book(connection, person)
        said = model.erase_person(book, person, await rules_in_force(connection))
        await _forget(connection, person)
        if not listed:
            # Before the commit: an erasure that was answered is on the list, whatever happens next.
            await asyncio.to_thread(desk.erasures.add, person, book.locked_at, actor)
        await desk.outbox.say(connection, said, actor=actor, correlation=uuid7())
    log.info("people.erased", person=str(person), by=actor)


async def _forget(connection: Connection, person: UUID) -> None:
    for forget in (_forget_key, _forget_account, _forget_sessions, _forget_second_factor, _forget_documents):
        await forget(connection, person)


def _must_be_own_or_admin(caller: Caller, person: UUID) -> None:
    if caller.person != person and "admin" not in caller.roles:
        raise PersonUnknown


async def _forget_key(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM person_key WHERE person = $1", person)


async def _forget_account(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM account WHERE person = $1", person)


async def _forget_sessions(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM session WHERE person = $1", person)


async def _forget_second_factor(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM second_factor WHERE person = $1", person)


async def _forget_documents(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM licence_document WHERE person = $1", person)


async def _registered_at(connection: Connection, person: UUID) -> datetime | None:
    at: datetime | None = await connection.fetchval("SELECT registered_at FROM account WHERE person = $1", person)
    return at


async def _has_second_factor(connection: Connection, person: UUID) -> bool:
    there: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM second_factor WHERE person = $1 AND confirmed_at IS NOT NULL)", person
    )
    return there


async def _is_back(connection: Connection, person: UUID) -> bool:
    there: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM person_key WHERE person = $1)", person)
    return there
