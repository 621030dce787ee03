"""Accounts: registering, the first admin, and what a person is called, which the log never hears of."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from bus.connection import Connection
from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth import model, passwords, rules, store, views
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.documents import Document, read_documents
from handlers.auth.events import PersonRegistered, Role
from handlers.auth.in_force import rules_in_force
from handlers.auth.model import MAY_READ_PROFILES, PersonUnknown
from handlers.auth.rules import Shooter
from handlers.auth.spelling import one_spelling
from handlers.auth.vault import Seal
from handlers.auth.views import EntitlementView

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who wants an account; nothing of it is ever printed."""

    login: str = field(repr=False)
    password: str = field(repr=False)
    display_name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """What a person is called."""

    login: str = field(repr=False)
    display_name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is, as far as the reader may know: the login name is for its owner alone."""

    person: UUID
    display_name: str
    login: str | None
    roles: Sequence[Role]
    licences: Sequence[Document]
    notices: Sequence[str]


class LoginTaken(Rejected):
    """This login name is taken."""


class BootstrapRefused(Rejected):
    """This is not the secret that set-up made."""


class BootstrapDone(Rejected):
    """The first admin is there already; other admins are made by admins."""


async def register(desk: Desk, newcomer: Newcomer) -> UUID:
    password_hash = await _hashed(desk, newcomer)
    async with desk.transaction() as connection:
        person = await _register(desk, connection, newcomer, password_hash, ("shooter",))
    log.info("people.registered", person=str(person))
    return person


async def bootstrap_admin(desk: Desk, secret: str, expected: str, newcomer: Newcomer) -> UUID:
    """Registers the first admin, once, for whoever holds the secret that set-up made."""
    if not hmac.compare_digest(secret.encode(), expected.encode()):
        log.warning("people.bootstrap-refused")
        raise BootstrapRefused
    password_hash = await _hashed(desk, newcomer)
    async with desk.transaction() as connection:
        person = await _register(desk, connection, newcomer, password_hash, ("admin",), first=True)
    log.info("people.bootstrapped", person=str(person))
    return person


async def profile(desk: Desk, caller: Caller, person: UUID) -> Profile:
    """Reads a profile: one's own, or as staff anybody's. For others nobody is there."""
    own = caller.person == person
    if not own and not caller.roles & MAY_READ_PROFILES:
        raise PersonUnknown
    async with desk.transaction() as connection:
        standing = await store.standing_of(connection, person)
        seal = await seal_of(desk, connection, person)
        known = await known_of(desk, connection, person)
        if standing is None or seal is None or known is None:
            raise PersonUnknown
        licences = await read_documents(connection, seal, person)
        entitlements = await views.entitlements(connection, person)
    return Profile(
        person=person,
        display_name=known.display_name,
        login=known.login if own else None,
        roles=sorted(standing.roles),
        licences=licences,
        notices=[_notice(one) for one in entitlements if one.expiry_foreseen],
    )


def _notice(ending: EntitlementView) -> str:
    return (
        f"Your licence for weapons of class {ending.weapon_class} ends on {ending.valid_until:%Y-%m-%d %H:%M} UTC; "
        "bookings after that are refused."
    )


async def known_of(desk: Desk, connection: Connection, person: UUID) -> Known | None:
    """What a person is called; None for nobody, and for those who were forgotten."""
    seal = await seal_of(desk, connection, person)
    sealed = await _read_profile(connection, person)
    if seal is None or sealed is None:
        return None
    return Known(**json.loads(seal.open(sealed, f"profile:{person}")))


async def seal_of(desk: Desk, connection: Connection, person: UUID) -> Seal | None:
    """The key of a person; None for nobody, and for those who were forgotten."""
    sealed = await connection.fetchval("SELECT sealed FROM person_key WHERE person = $1", person)
    return None if sealed is None else desk.vault.person_key(person, sealed)


async def _hashed(desk: Desk, newcomer: Newcomer) -> str:
    passwords.check(newcomer.password, newcomer.login, newcomer.display_name)
    return await desk.hasher.hash(newcomer.password)


async def _register(
    desk: Desk,
    connection: Connection,
    newcomer: Newcomer,
    password_hash: str,
    roles: tuple[Role, ...],
    *,
    first: bool = False,
) -> UUID:
    person, at = uuid7(), await now(connection)
    if first and not await _close_bootstrap(connection, person, at):
        raise BootstrapDone
    seal, sealed_key = desk.vault.new_person_key(person)
    known = {"login": newcomer.login, "display_name": newcomer.display_name}
    made = await _insert_account(
        connection,
        person,
        login_hash=desk.vault.fingerprint("login", one_spelling(newcomer.login)),
        password_hash=password_hash,
        sealed_profile=seal.close(json.dumps(known).encode(), f"profile:{person}"),
        at=at,
    )
    if not made:
        raise LoginTaken
    await _insert_key(connection, person, sealed_key)
    registered = PersonRegistered(person=person, roles=roles)
    # Where guests may shoot without a licence, they may from the first day.
    rule_set = await rules_in_force(connection)
    granted = rules.entitlements(Shooter(), rule_set)
    told = [model.published(person, granted, rule_set)] if granted else []
    await desk.outbox.say(connection, [registered, *told], actor=f"person:{person}", correlation=uuid7())
    return person


async def _close_bootstrap(connection: Connection, person: UUID, at: datetime) -> bool:
    status = await connection.execute(
        "INSERT INTO bootstrap (done, person, at) VALUES (true, $1, $2) ON CONFLICT DO NOTHING", person, at
    )
    return status == "INSERT 0 1"


async def _insert_account(
    connection: Connection,
    person: UUID,
    *,
    login_hash: bytes,
    password_hash: str,
    sealed_profile: bytes,
    at: datetime,
) -> bool:
    status = await connection.execute(
        """
        INSERT INTO account (person, login_hash, password_hash, sealed_profile, registered_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (login_hash) DO NOTHING
        """,
        person,
        login_hash,
        password_hash,
        sealed_profile,
        at,
    )
    return status == "INSERT 0 1"


async def _insert_key(connection: Connection, person: UUID, sealed: bytes) -> None:
    await connection.execute("INSERT INTO person_key (person, sealed) VALUES ($1, $2)", person, sealed)


async def _read_profile(connection: Connection, person: UUID) -> bytes | None:
    sealed: bytes | None = await connection.fetchval("SELECT sealed_profile FROM account WHERE person = $1", person)
    return sealed
