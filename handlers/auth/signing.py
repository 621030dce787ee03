"""Auth's signing keys: made, kept sealed, changed for new ones, and never thrown away."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from asyncpg import Record
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.connection import ACQUIRE_TIMEOUT_S, Connection, Pool
from bus.errors import Later, Refusal
from bus.tokens import PublicKey, Verifier
from handlers.auth.vault import Unreadable, Vault, open_vault

KNOWN_BEFORE_USE: Final = timedelta(minutes=10)  # everybody has read a new key by the time that it signs


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its private half, and when it signs."""

    kid: str
    private: Ed25519PrivateKey
    not_before: datetime
    retired_at: datetime | None

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.kid, self.private.public_key(), self.not_before, self.retired_at)


class Signer:
    """Auth's signing keys as they were last loaded, and a verifier of what they signed."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.verifier = Verifier()
        self._keys: Sequence[SigningKey] = ()

    async def load(self, connection: Connection) -> None:
        self._keys = [_opened(self.vault, row) for row in await _read_keys(connection)]
        self.verifier.replace(key.public for key in self._keys)

    def key_at(self, moment: datetime) -> SigningKey:
        """The key that signs at this moment."""
        for key in reversed(self._keys):
            if key.not_before <= moment and (key.retired_at is None or moment < key.retired_at):
                return key
        raise Later(1.0)  # the keys at hand are older than the last change; they are loaded every minute


async def open_signer(pool: Pool, master_key_file: Path) -> Signer:
    """Opens auth's keys; at the very first start it makes the master key and a first signing key."""
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        begun = await _has_keys(connection)
        signer = Signer(open_vault(master_key_file, may_make=not begun))
        if not begun:
            at = await connection.fetchval("SELECT clock_timestamp()")
            await _insert(connection, signer.vault, created_at=at, not_before=at)
        try:
            await signer.load(connection)
        except Unreadable as error:
            raise Refusal(f"The master key {master_key_file} is not the one this database was sealed with.") from error
    return signer


async def change_key(connection: Connection, vault: Vault, known_before_use: timedelta = KNOWN_BEFORE_USE) -> str:
    """Makes a new signing key, published at once and used a little later; the old one stays verifiable.

    Returns the name of the key that has no end now. Of two changes at once, one makes it.
    """
    async with connection.transaction():
        at = await connection.fetchval("SELECT clock_timestamp()")
        changes_at = at + known_before_use
        await _retire(connection, changes_at)
        await _insert(connection, vault, created_at=at, not_before=changes_at)
        kid: str = await connection.fetchval("SELECT kid FROM signing_key WHERE retired_at IS NULL")
    return kid


def _opened(vault: Vault, row: Record) -> SigningKey:
    private = vault.keys.open(row["sealed_private"], f"signing-key:{row['kid']}")
    return SigningKey(
        kid=row["kid"],
        private=Ed25519PrivateKey.from_private_bytes(private),
        not_before=row["not_before"],
        retired_at=row["retired_at"],
    )


async def _has_keys(connection: Connection) -> bool:
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM signing_key)")
    return found


async def _read_keys(connection: Connection) -> list[Record]:
    return await connection.fetch(
        "SELECT kid, sealed_private, not_before, retired_at FROM signing_key ORDER BY not_before, kid"
    )


async def _retire(connection: Connection, moment: datetime) -> None:
    await connection.execute(
        "UPDATE signing_key SET retired_at = greatest($1, not_before) WHERE retired_at IS NULL", moment
    )


async def _insert(connection: Connection, vault: Vault, *, created_at: datetime, not_before: datetime) -> None:
    kid = secrets.token_hex(8)
    private = Ed25519PrivateKey.generate()
    await connection.execute(
        """
        INSERT INTO signing_key (kid, public_key, sealed_private, created_at, not_before)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        kid,
        private.public_key().public_bytes_raw(),
        vault.keys.close(private.private_bytes_raw(), f"signing-key:{kid}"),
        created_at,
        not_before,
    )
