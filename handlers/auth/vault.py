"""Seals what says who somebody is, and private keys; all its keys come from one master key in a file."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.errors import Refusal

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORM: Final = b"\x01"  # AES-256-GCM, nonce first; another form would begin with another byte

Purpose = Literal["login", "attempt", "licence", "recovery", "refresh"]
"""What a keyed hash is for: equal texts have unequal hashes for each."""


class Unreadable(Exception):  # noqa: N818 - it says what happened
    """Something sealed cannot be read: its key is not the one it was sealed with, or it was changed."""


class Seal:
    """AES-256-GCM under one key, with a fresh nonce each time, bound to what the content is about."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, content: bytes, about: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return FORM + nonce + self._cipher.encrypt(nonce, content, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        nonce, content = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if not sealed.startswith(FORM):
                raise Unreadable(about)
            return self._cipher.decrypt(nonce, content, about.encode())
        except (InvalidTag, ValueError) as error:
            raise Unreadable(about) from error


class Vault:
    """What the master key opens: the seal of keys, and keyed hashes."""

    def __init__(self, master_key: bytes) -> None:
        self.keys = Seal(_derived(master_key, "keys"))
        self._hash_keys = {
            purpose: _derived(master_key, purpose) for purpose in ("login", "attempt", "licence", "recovery", "refresh")
        }

    def fingerprint(self, purpose: Purpose, *parts: str) -> bytes:
        """A hash that finds a text again and cannot be made, or guessed at, without the master key."""
        text = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.digest(self._hash_keys[purpose], text, "sha256")

    def new_person_key(self, person: object) -> tuple[Seal, bytes]:
        """Makes the key of a person: to seal with now, and sealed itself to be kept."""
        key = secrets.token_bytes(KEY_BYTES)
        return Seal(key), self.keys.close(key, f"person-key:{person}")

    def person_key(self, person: object, sealed: bytes) -> Seal:
        return Seal(self.keys.open(sealed, f"person-key:{person}"))


def open_vault(file: Path, *, may_make: bool) -> Vault:
    """Opens the vault with the master key in a file; makes the file where that is allowed and there is none."""
    try:
        return Vault(_read(file))
    except FileNotFoundError:
        if not may_make:
            raise Refusal(
                f"The master key {file} is gone, and this database was sealed with it: bring it back from a copy."
            ) from None
    _make(file)
    return Vault(_read(file))


def secret_hash(secret: str) -> bytes:
    """The hash under which a secret of 256 random bits is kept; such a secret needs no slow one."""
    return sha256(secret.encode()).digest()


def _read(file: Path) -> bytes:
    if file.stat().st_mode & 0o077:
        raise Refusal(f"The master key {file} can be read by others: run `chmod 600` on it, and think who did read it.")
    try:
        key = bytes.fromhex(file.read_text().strip())
    except (ValueError, PermissionError) as error:
        raise Refusal(f"{file} is no master key that can be read.") from error
    if len(key) != KEY_BYTES:
        raise Refusal(f"{file} is no master key: it has {len(key)} bytes instead of {KEY_BYTES}.")
    return key


def _make(file: Path) -> None:
    """Makes the file whole or not at all; of two processes that start at once, one makes it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_hex(KEY_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            file.hardlink_to(unfinished)
    finally:
        unfinished.unlink()


def _derived(master_key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"firingline auth {purpose}".encode()).derive(master_key)
