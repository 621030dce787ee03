"""Sessions and refresh tokens as rows: kept apart from the log, since they are secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from bus.connection import Connection


@dataclass(frozen=True, slots=True)
class Account:
    """Whose password is to be compared with what."""

    person: UUID
    password_hash: str


@dataclass(frozen=True, slots=True)
class Held:
    """A refresh token that somebody holds, and the session it belongs to."""

    session: UUID
    person: UUID
    expires_at: datetime
    spent_at: datetime | None
    opened_at: datetime
    session_expires_at: datetime
    closed_at: datetime | None
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Login:
    """A session that is open: since when, when it was last carried on, and until when it can be."""

    session: UUID
    opened_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime


async def find_account(connection: Connection, login_hash: bytes) -> Account | None:
    """Who logs in by this name; a disabled account is none."""
    row = await connection.fetchrow(
        """
        SELECT a.person, a.password_hash
        FROM account AS a JOIN person AS p ON p.person = a.person
        WHERE a.login_hash = $1 AND NOT p.disabled
        """,
        login_hash,
    )
    return None if row is None else Account(row["person"], row["password_hash"])


async def account_of(connection: Connection, person: UUID) -> Account | None:
    password_hash = await connection.fetchval("SELECT password_hash FROM account WHERE person = $1", person)
    return None if password_hash is None else Account(person, password_hash)


async def replace_password_hash(connection: Connection, account: Account, password_hash: str) -> bool:
    """Puts a hash in the place of one that was read before, unless another took its place meanwhile."""
    status = await connection.execute(
        "UPDATE account SET password_hash = $3 WHERE person = $1 AND password_hash = $2",
        account.person,
        account.password_hash,
        password_hash,
    )
    return status == "UPDATE 1"


async def insert_session(
    connection: Connection,
    session: UUID,
    person: UUID,
    opened_at: datetime,
    expires_at: datetime,
    *,
    second_factor: bool,
) -> None:
    await connection.execute(
        "INSERT INTO session (session, person, opened_at, expires_at, second_factor) VALUES ($1, $2, $3, $4, $5)",
        session,
        person,
        opened_at,
        expires_at,
        second_factor,
    )


async def close_session(
    connection: Connection, session: UUID, at: datetime, closed_by: Literal["logout", "reuse", "ended"]
) -> None:
    await connection.execute(
        "UPDATE session SET closed_at = $2, closed_by = $3 WHERE session = $1 AND closed_at IS NULL",
        session,
        at,
        closed_by,
    )


async def insert_token(connection: Connection, token_hash: bytes, session: UUID, expires_at: datetime) -> None:
    await connection.execute(
        "INSERT INTO refresh_token (token_hash, session, expires_at) VALUES ($1, $2, $3)",
        token_hash,
        session,
        expires_at,
    )


async def lock_token(connection: Connection, token_hash: bytes) -> Held | None:
    """Locks the token and its session, so that two who present it at once come one after the other."""
    row = await connection.fetchrow(
        """
        SELECT t.session, s.person, t.expires_at, t.spent_at, s.opened_at,
               s.expires_at AS session_expires_at, s.closed_at, s.second_factor
        FROM refresh_token AS t JOIN session AS s ON s.session = t.session
        WHERE t.token_hash = $1
        FOR UPDATE OF t, s
        """,
        token_hash,
    )
    return None if row is None else Held(**row)


async def spend_token(connection: Connection, token_hash: bytes, at: datetime) -> None:
    await connection.execute("UPDATE refresh_token SET spent_at = $2 WHERE token_hash = $1", token_hash, at)


async def is_unspent(connection: Connection, token_hash: bytes) -> bool:
    unspent: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM refresh_token WHERE token_hash = $1 AND spent_at IS NULL)", token_hash
    )
    return unspent


async def open_sessions(connection: Connection, person: UUID) -> list[Login]:
    rows = await connection.fetch(
        """
        SELECT s.session, s.opened_at, s.expires_at,
               (SELECT max(t.spent_at) FROM refresh_token AS t WHERE t.session = s.session) AS refreshed_at
        FROM session AS s JOIN person AS p ON p.person = s.person
        WHERE s.person = $1 AND s.closed_at IS NULL AND s.expires_at > clock_timestamp()
            AND (p.logins_since IS NULL OR s.opened_at >= p.logins_since)
        ORDER BY s.opened_at, s.session
        """,
        person,
    )
    return [Login(**row) for row in rows]


async def lock_open_session(connection: Connection, session: UUID, person: UUID) -> bool:
    """Whether this person has this session, and it was not closed."""
    found = await connection.fetchval(
        "SELECT session FROM session WHERE session = $1 AND person = $2 AND closed_at IS NULL FOR UPDATE",
        session,
        person,
    )
    return found is not None


async def forget_ended_sessions(connection: Connection) -> None:
    await connection.execute("DELETE FROM session WHERE expires_at < clock_timestamp() - interval '1 day'")
