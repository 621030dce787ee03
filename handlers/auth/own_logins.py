"""What people do about their own logins: see and end them, and change the password, which ends all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth import model, passwords, second_factor, sessions, store, throttle
from handlers.auth import session_store as rows
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.model import PersonUnknown
from handlers.auth.people import known_of
from handlers.auth.session_store import Login
from handlers.auth.sessions import LoggedIn

log = structlog.get_logger(__name__)


class SessionUnknown(Rejected):
    """None of your logins has this id."""


class PasswordWrong(Rejected):
    """This is not your present password."""


async def list_sessions(desk: Desk, caller: Caller) -> Sequence[Login]:
    async with desk.transaction() as connection:
        return await rows.open_sessions(connection, caller.person)


async def end_session(desk: Desk, caller: Caller, session: UUID) -> None:
    """Ends one login. Access tokens do not say of which login they are, so the others fetch new ones."""
    async with desk.transaction() as connection:
        if not await rows.lock_open_session(connection, session, caller.person):
            raise SessionUnknown
        await rows.close_session(connection, session, await now(connection), "ended")
        await sessions.revoke_tokens(desk, connection, caller.person, logins=False)


async def end_sessions(desk: Desk, caller: Caller) -> None:
    async with desk.transaction() as connection:
        await sessions.revoke_tokens(desk, connection, caller.person, logins=True)


async def change_password(desk: Desk, caller: Caller, old: str, new: str, code: str | None = None) -> LoggedIn:
    """Changes the password, ends every login, and opens the one that goes on here.

    Tries are slowed down like logins, so that a stolen access token does not help to guess the password.
    """
    desk.hasher.must_have_room()
    keys = throttle.keys_of_own(desk.vault, caller.person)
    async with desk.transaction() as connection:
        await throttle.charge(connection, keys)
        account = await rows.account_of(connection, caller.person)
        known = await known_of(desk, connection, caller.person)
    right = await desk.hasher.verify(None if account is None else account.password_hash, old)
    if account is None or known is None or not right:
        log.info("sessions.password-wrong", person=str(caller.person))
        raise PasswordWrong
    passwords.check(new, known.login, known.display_name)
    password_hash = await desk.hasher.hash(new)
    async with desk.transaction() as connection:
        standing = await store.lock_standing(connection, caller.person)
        if standing is None or standing.disabled:
            raise PersonUnknown
        if not await rows.replace_password_hash(connection, account, password_hash):
            raise PasswordWrong
        at = await now(connection)
        proved = await second_factor.prove(desk, connection, caller.person, code, at)
        await throttle.forgive(connection, keys, at)
        revoked = model.revoked(caller.person, standing, at, logins=True)
        since = revoked.issued_before
        standing = replace(standing, tokens_since=since, logins_since=since)
        opened = await sessions.open_session(desk, connection, caller.person, standing, at, second_factor=proved)
        await desk.outbox.say(connection, [revoked], actor=caller.actor, correlation=uuid7())
    log.info("sessions.password-changed", person=str(caller.person))
    return opened
