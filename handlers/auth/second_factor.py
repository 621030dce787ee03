"""The second factor: what makes a person's codes is enrolled, confirmed by a first code, and asked for at logins."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from asyncpg import Record

from bus.connection import Connection
from bus.errors import Rejected
from handlers.auth import session_store as rows
from handlers.auth import throttle, totp
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.model import PersonUnknown
from handlers.auth.people import known_of, seal_of
from handlers.auth.vault import Vault

RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The secret that makes codes, told this once: to be typed, and as what an app reads."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactorNeeded(Rejected):
    """This account asks for a code besides the password."""


class SecondFactorWrong(Rejected):
    """This code is wrong, too old, or was used before."""


class SecondFactorThere(Rejected):
    """This account has a second factor: remove it first."""


class SecondFactorMissing(Rejected):
    """There is no second factor to be confirmed or removed."""


class ProofRefused(Rejected):
    """Password or code is wrong."""


async def enrol(desk: Desk, caller: Caller, password: str) -> Enrolled:
    """Makes a secret; it asks for nothing until it was confirmed, and a second one takes its place until then."""
    keys = await prove_password(desk, caller.person, password)
    secret = totp.new_secret()
    async with desk.transaction() as connection:
        await throttle.forgive(connection, keys, await now(connection))
        seal = await seal_of(desk, connection, caller.person)
        known = await known_of(desk, connection, caller.person)
        if seal is None or known is None:
            raise PersonUnknown
        if not await _insert(connection, caller.person, seal.close(secret, _about(caller.person))):
            raise SecondFactorThere
    log.info("second-factor.enrolled", person=str(caller.person))
    return Enrolled(totp.written(secret), totp.uri(secret, known.login))


async def confirm(desk: Desk, caller: Caller, code: str) -> Sequence[str]:
    """Takes the first code; returns the recovery codes, told this once."""
    keys = throttle.keys_of_own(desk.vault, caller.person)
    async with desk.transaction() as connection:
        await throttle.charge(connection, keys)
    async with desk.transaction() as connection:
        row = await _lock(connection, caller.person)
        if row is None or row["confirmed_at"] is not None:
            raise SecondFactorMissing
        at = await now(connection)
        await _take_step(desk, connection, caller.person, row, code, at)
        await throttle.forgive(connection, keys, at)
        await _confirm(connection, caller.person, at)
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        await _insert_codes(connection, caller.person, [_hashed(desk.vault, caller.person, one) for one in codes])
    log.info("second-factor.confirmed", person=str(caller.person))
    return codes


async def remove(desk: Desk, caller: Caller, password: str, code: str) -> None:
    keys = await prove_password(desk, caller.person, password)
    async with desk.transaction() as connection:
        at = await now(connection)
        if not await prove(desk, connection, caller.person, code, at):
            raise SecondFactorMissing
        await throttle.forgive(connection, keys, at)
        await _delete(connection, caller.person)
    log.warning("second-factor.removed", person=str(caller.person))


async def prove(desk: Desk, connection: Connection, person: UUID, code: str | None, at: datetime) -> bool:
    """Whether a second factor was proved: False where the account has none. Spends the code; raises if it is wrong."""
    row = await _lock(connection, person)
    if row is None or row["confirmed_at"] is None:
        return False
    if code is None:
        raise SecondFactorNeeded
    if len(code) == totp.DIGITS:
        await _take_step(desk, connection, person, row, code, at)
    elif not await _spend_code(connection, _hashed(desk.vault, person, code), person):
        raise SecondFactorWrong
    return True


async def prove_password(desk: Desk, person: UUID, password: str) -> throttle.Keys:
    keys = throttle.keys_of_own(desk.vault, person)
    desk.hasher.must_have_room()
    async with desk.transaction() as connection:
        await throttle.charge(connection, keys)
        account = await rows.account_of(connection, person)
    if account is None or not await desk.hasher.verify(account.password_hash, password):
        raise ProofRefused
    return keys


async def _take_step(desk: Desk, connection: Connection, person: UUID, row: Record, code: str, at: datetime) -> None:
    seal = await seal_of(desk, connection, person)
    if seal is None:
        raise PersonUnknown
    secret = seal.open(row["sealed"], _about(person))
    step = totp.step_of(secret, code, at.timestamp(), row["last_step"])
    if step is None:
        raise SecondFactorWrong
    await _write_step(connection, person, step)


def _about(person: UUID) -> str:
    return f"second-factor:{person}"


def _recovery_code() -> str:
    written = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(written[start : start + 4] for start in range(0, len(written), 4))


def _hashed(vault: Vault, person: UUID, code: str) -> bytes:
    return vault.fingerprint("recovery", str(person), code.strip().lower())


async def _insert(connection: Connection, person: UUID, sealed: bytes) -> bool:
    status = await connection.execute(
        """
        INSERT INTO second_factor (person, sealed, last_step) VALUES ($1, $2, 0)
        ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed, last_step = 0
        WHERE second_factor.confirmed_at IS NULL
        """,
        person,
        sealed,
    )
    return status == "INSERT 0 1"


async def _lock(connection: Connection, person: UUID) -> Record | None:
    """Locks it, so that of two logins with one code one is let in."""
    return await connection.fetchrow(
        "SELECT sealed, confirmed_at, last_step FROM second_factor WHERE person = $1 FOR UPDATE", person
    )


async def _write_step(connection: Connection, person: UUID, step: int) -> None:
    await connection.execute("UPDATE second_factor SET last_step = $2 WHERE person = $1", person, step)


async def _confirm(connection: Connection, person: UUID, at: datetime) -> None:
    await connection.execute("UPDATE second_factor SET confirmed_at = $2 WHERE person = $1", person, at)


async def _insert_codes(connection: Connection, person: UUID, hashes: Sequence[bytes]) -> None:
    await connection.execute(
        "INSERT INTO recovery_code (code_hash, person) SELECT h, $1 FROM unnest($2::bytea[]) AS h", person, hashes
    )


async def _spend_code(connection: Connection, hashed: bytes, person: UUID) -> bool:
    status = await connection.execute("DELETE FROM recovery_code WHERE code_hash = $1 AND person = $2", hashed, person)
    return status == "DELETE 1"


async def _delete(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM second_factor WHERE person = $1", person)
