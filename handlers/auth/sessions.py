"""Logins: opened with a password, carried on by refresh tokens of one use each, closed by logging out."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

import structlog

from bus.connection import Connection
from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth import model, second_factor, store, throttle
from handlers.auth import session_store as rows
from handlers.auth.desk import Desk, now
from handlers.auth.events import Role
from handlers.auth.issuing import user_token
from handlers.auth.model import Standing
from handlers.auth.session_store import Held
from handlers.auth.spelling import one_spelling
from handlers.auth.vault import Vault, secret_hash

SESSION_LASTS: Final = timedelta(days=30)
REFRESH_TOKEN_LASTS: Final = timedelta(days=7)
GRACE: Final = timedelta(seconds=10)  # a client that did not get the answer may ask again
TOKEN_BYTES: Final = 32
MORE_THAN_A_PASSWORD: Final[frozenset[Role]] = frozenset({"armourer", "cashier", "admin"})  # weapons, money, roles

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a person holds after logging in or refreshing."""

    person: UUID
    roles: Sequence[Role]
    access_token: str
    refresh_token: str
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Session:
    """What a session says of the tokens that come from it."""

    person: UUID
    expires_at: datetime
    second_factor: bool


class Verdict(Enum):
    """What a refresh token that is presented is worth."""

    FRESH = "fresh"  # it is spent now, and a successor holds
    AGAIN = "again"  # it was spent a moment ago, and its successor was not used: the answer was lost on the way
    STOLEN = "stolen"  # it was spent, and comes again: two hold it
    ENDED = "ended"


class LoginRefused(Rejected):
    """Login name or password is wrong."""


class RefreshRefused(Rejected):
    """This login has ended: log in again."""


async def log_in(desk: Desk, login: str, password: str, address: str, code: str | None = None) -> LoggedIn:
    """Opens a session. Unknown names and wrong passwords get the same answer after the same work."""
    desk.hasher.must_have_room()
    keys = throttle.keys_of(desk.vault, one_spelling(login), address)
    async with desk.transaction() as connection:
        await throttle.charge(connection, keys)
        account = await rows.find_account(connection, desk.vault.fingerprint("login", one_spelling(login)))
    right = await desk.hasher.verify(None if account is None else account.password_hash, password)
    if account is None or not right:
        log.info("sessions.login-refused", account=keys.account.hex()[:16], address=keys.address.hex()[:16])
        raise LoginRefused
    outdated = desk.hasher.outdated(account.password_hash)
    stronger = await desk.hasher.hash(password) if outdated else None
    async with desk.transaction() as connection:
        standing = await store.hold_standing(connection, account.person)
        if standing is None or standing.disabled:  # since a moment ago
            raise LoginRefused
        at = await now(connection)
        proved = await second_factor.prove(desk, connection, account.person, code, at)
        await throttle.forgive(connection, keys, at)
        if stronger is not None:
            await rows.replace_password_hash(connection, account, stronger)
        opened = await open_session(desk, connection, account.person, standing, at, second_factor=proved)
    log.info("sessions.opened", person=str(opened.person))
    return opened


async def refresh(desk: Desk, token: str) -> LoggedIn:
    """Gives the next tokens for a refresh token, which is spent by it."""
    successor = _successor(desk.vault, token)
    async with desk.transaction() as connection:
        held = await rows.lock_token(connection, secret_hash(token))
        if held is None:
            raise RefreshRefused
        standing = await store.hold_standing(connection, held.person)
        at = await now(connection)
        unspent = await rows.is_unspent(connection, secret_hash(successor))
        verdict = judge(held, standing, at, successor_unspent=unspent)
        if verdict is Verdict.FRESH:
            await rows.spend_token(connection, secret_hash(token), at)
            await _hand_out(connection, successor, held.session, at, held.session_expires_at)
        elif verdict is Verdict.STOLEN:
            await rows.close_session(connection, held.session, at, "reuse")
        if standing is not None and verdict in {Verdict.FRESH, Verdict.AGAIN}:
            session = _Session(held.person, held.session_expires_at, held.second_factor)
            return _tokens(desk, session, standing, successor, at)
    # What was closed stays closed: the transaction is over.
    log.warning("sessions.refresh-refused", verdict=verdict.value, session=str(held.session))
    if verdict is Verdict.STOLEN:
        async with desk.transaction() as connection:
            await revoke_tokens(desk, connection, held.person, logins=False)
    raise RefreshRefused


async def log_out(desk: Desk, token: str) -> None:
    """Closes the session that a refresh token belongs to, if there is one, and revokes what was given out by it."""
    async with desk.transaction() as connection:
        held = await rows.lock_token(connection, secret_hash(token))
        if held is not None and held.closed_at is None:
            await rows.close_session(connection, held.session, await now(connection), "logout")
            await revoke_tokens(desk, connection, held.person, logins=False)


async def revoke_tokens(desk: Desk, connection: Connection, person: UUID, *, logins: bool) -> None:
    """Lets the access tokens of a person count no more; other logins get new ones for their refresh tokens.

    It appends, so it comes last in a transaction.
    """
    standing = await store.lock_standing(connection, person)
    if standing is None:
        return
    revoked = model.revoked(person, standing, await now(connection), logins=logins)
    await desk.outbox.say(connection, [revoked], actor=f"person:{person}", correlation=uuid7())


def judge(held: Held, standing: Standing | None, at: datetime, *, successor_unspent: bool) -> Verdict:
    if standing is None or standing.disabled or held.closed_at is not None or held.session_expires_at <= at:
        return Verdict.ENDED
    if standing.logins_since is not None and held.opened_at < standing.logins_since:
        return Verdict.ENDED
    if held.spent_at is not None:
        return Verdict.AGAIN if successor_unspent and at - held.spent_at < GRACE else Verdict.STOLEN
    return Verdict.FRESH if at < held.expires_at else Verdict.ENDED


async def open_session(
    desk: Desk, connection: Connection, person: UUID, standing: Standing, at: datetime, *, second_factor: bool
) -> LoggedIn:
    """Opens a session that counts, however short ago all others were ended."""
    opened_at = _not_before(standing.logins_since, at)
    session, token = uuid7(), secrets.token_urlsafe(TOKEN_BYTES)
    expires_at = opened_at + SESSION_LASTS
    await rows.insert_session(connection, session, person, opened_at, expires_at, second_factor=second_factor)
    await _hand_out(connection, token, session, at, expires_at)
    return _tokens(desk, _Session(person, expires_at, second_factor), standing, token, at)


async def _hand_out(
    connection: Connection, token: str, session: UUID, at: datetime, session_expires_at: datetime
) -> None:
    expires_at = min(at + REFRESH_TOKEN_LASTS, session_expires_at)
    await rows.insert_token(connection, secret_hash(token), session, expires_at)


def _tokens(desk: Desk, session: _Session, standing: Standing, token: str, at: datetime) -> LoggedIn:
    """Where staff needs a second factor, a login without one is good for what a shooter may do."""
    issued_at = _not_before(standing.tokens_since, at)
    withheld = MORE_THAN_A_PASSWORD if desk.staff_needs_second_factor and not session.second_factor else frozenset()
    person, roles = session.person, sorted(standing.roles - withheld)
    return LoggedIn(
        person=person,
        roles=roles,
        access_token=user_token(desk.signer.key_at(issued_at), person, roles, issued_at),
        refresh_token=token,
        refresh_expires_at=min(at + REFRESH_TOKEN_LASTS, session.expires_at),
    )


def _not_before(since: datetime | None, at: datetime) -> datetime:
    """A moment that counts: it may lie ahead by less than a second, which every clock's leeway covers."""
    return at if since is None else max(since, at)


def _successor(vault: Vault, token: str) -> str:
    """The one token that can follow this one; whoever holds this one and lost the answer can be given it again."""
    return base64.urlsafe_b64encode(vault.fingerprint("refresh", token)).rstrip(b"=").decode()
