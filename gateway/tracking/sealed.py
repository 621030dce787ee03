"""Files of encrypted records: what is in them can be read with the key and by nobody else, and no record be changed.

A file is a header (magic, and a salt that its own key is derived with) and records: four bytes of length, then
AES-256-GCM of the record, with a counter as nonce and the file's name as further authenticated data. Losing the key
file makes all of them unreadable for good; deleting files is all it takes to forget.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.errors import Refusal

MAGIC: Final = b"firingline frames 2\n"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
HEADER_BYTES: Final = len(MAGIC) + SALT_BYTES
LENGTH: Final = struct.Struct(">I")
READ_BYTES: Final = 1024 * 1024

log = structlog.get_logger(__name__)


class NotSealed(Exception):  # noqa: N818 - a finding about a file
    """A file that is none of these, or whose very header was cut short."""


class SealedFile:
    """A file open for appending, and locked. Each begins with a salt of its own, so nonces never meet.

    It appears under its name with its header and its lock, or not at all; FileExistsError if the name is taken.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        salt = os.urandom(SALT_BYTES)
        self.id = UUID(bytes=salt)
        self._cipher = _cipher(key, salt)
        self._name = path.name.encode()
        self.count = 0
        unfinished = path.with_name(f".{path.name}.{self.id}")
        self.file = private(unfinished)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(MAGIC + salt)
            path.hardlink_to(unfinished)
        except BaseException:
            self.file.close()
            raise
        finally:
            unfinished.unlink()

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and see them onto the disk; OSError, and the file is of no more use, if there is no room."""
        sealed = b"".join(self._sealed(record, self.count + i) for i, record in enumerate(records))
        self._write(sealed)
        os.fsync(self.file.fileno())
        self.count += len(records)

    @property
    def size(self) -> int:
        return self.file.tell()

    def _sealed(self, record: bytes, count: int) -> bytes:
        sealed = self._cipher.encrypt(_nonce(count), record, self._name)
        return LENGTH.pack(len(sealed)) + sealed

    def _write(self, stored: bytes) -> None:
        if self.file.write(stored) != len(stored):
            raise OSError(f"{self.file.name} has no room")


def file_id(path: Path) -> UUID:
    """What tells this file from all others; raises NotSealed."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise NotSealed(str(path))
    return UUID(bytes=header[len(MAGIC) :])


class Reading:
    """A file read from its beginning, in steps, while it may still grow."""

    def __init__(self, path: Path, key_file: Path, key: bytes) -> None:
        self._path = path
        self._key_file = key_file
        self._cipher = _cipher(key, file_id(path).bytes)
        self._at = HEADER_BYTES
        self.count = 0

    def next(self, most: int) -> list[bytes]:
        """So many further records, or as many as there are; Refusal for one that the key does not fit.

        The last one of a file may have been cut short by a crash, and is passed over then.
        """
        return [self._opened(sealed) for sealed in self._stored(most)]

    def skip(self, count: int) -> None:
        """Pass over so many records without reading them."""
        for _ in self._stored(count):
            self.count += 1

    def _stored(self, most: int) -> Iterator[bytes]:
        with self._path.open("rb", buffering=READ_BYTES) as file:
            file.seek(self._at)
            for _ in range(most):
                head = file.read(LENGTH.size)
                if len(head) < LENGTH.size:
                    return
                (length,) = LENGTH.unpack(head)
                sealed = file.read(length)
                if len(sealed) < length:
                    return
                self._at += LENGTH.size + length
                yield sealed

    def _opened(self, sealed: bytes) -> bytes:
        try:
            record = self._cipher.decrypt(_nonce(self.count), sealed, self._path.name.encode())
        except InvalidTag:
            raise Refusal(f"{self._path} cannot be read with {self._key_file}, or was changed.") from None
        self.count += 1
        return record


def load_or_make_key(path: Path) -> bytes:
    """The key, made at the first use in a file that only we may read."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        with private(unfinished) as file:
            file.write(os.urandom(KEY_BYTES))
            os.fsync(file.fileno())
        try:
            path.hardlink_to(unfinished)  # whole or not at all, and never over another's
        except FileExistsError:
            log.info("journal.key-made-by-another", path=str(path))
        finally:
            unfinished.unlink()
        sync_folder(path.parent)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise OSError(f"{path} is no key")
    return key


def private(path: Path) -> FileIO:
    """A new file that only we may read and write."""
    return FileIO(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def sync_folder(folder: Path) -> None:
    """See onto the disk which files are in a folder."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=MAGIC).derive(key))


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")
