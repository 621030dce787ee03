"""What targets sent, byte for byte, kept outside the log: encrypted, in a folder that never grows past a bound.

Frames may carry names, so they stay off the log, which only has their hash; they are kept so that they can be read and
scored again. A file is a header (magic, and a salt that its own key is derived with) and records: four bytes of length,
then AES-256-GCM of one entry, with a counter as nonce and the file's name as further authenticated data. Losing the key
file makes them unreadable for good; deleting files is all it takes to forget.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.errors import Refusal
from gateway.tracking.frames import Wrong

MAGIC: Final = b"firingline frames 1\n"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
FILE_BYTES: Final = 16 * 1024 * 1024
FILES: Final = 8
LENGTH: Final = struct.Struct(">I")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes as they came: from which device, by which way, when, and what was made of them."""

    device: str
    way: str  # "tcp" or "http"
    at: str
    raw: bytes
    verdict: str

    @classmethod
    def of(cls, device: str, way: str, at: datetime | None, raw: bytes, told: object) -> Entry:
        verdict = f"wrong: {told.reason}" if isinstance(told, Wrong) else "shot"
        return cls(device, way, str(at), raw, verdict)

    @property
    def sha256(self) -> str:
        return sha256(self.raw).hexdigest()


class Journal:
    """Append-only files of entries. Keeping is best effort: a full disk loses entries, never shots."""

    def __init__(self, folder: Path, key_file: Path, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._folder = folder
        self._key_file = key_file
        self._file_bytes = file_bytes
        self._files = files
        self._lock = threading.Lock()
        self._writing: _Writing | None = None
        self.lost = 0

    def keep(self, entries: Sequence[Entry]) -> None:
        """Appends entries; blocks for as long as the disk takes, so it is called in a thread."""
        with self._lock:
            try:
                for entry in entries:
                    self._append(entry)
            except OSError:
                self.lost += len(entries)
                log.exception("journal.lost", entries=len(entries))
                self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _append(self, entry: Entry) -> None:
        if self._writing is None or self._writing.file.tell() >= self._file_bytes:
            self._rotate()
        assert self._writing is not None
        self._writing.append(entry)

    def _rotate(self) -> None:
        self._close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = load_or_make_key(self._key_file)
        there = _files(self._folder)
        number = 1 + (_number(there[-1]) if there else 0)
        while self._writing is None:
            try:
                self._writing = _Writing(self._folder / f"frames-{number:08}.bin", key)
            except FileExistsError:  # another gateway was quicker
                number += 1
        for old in there[: max(0, len(there) + 1 - self._files)]:
            old.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._writing is not None:
            self._writing.file.close()
            self._writing = None


class _Writing:
    """The file that is being written. Each process begins one of its own, so nonces never meet."""

    def __init__(self, path: Path, key: bytes) -> None:
        salt = os.urandom(SALT_BYTES)
        self._cipher = _cipher(key, salt)
        self._name = path.name.encode()
        self._count = 0
        self.file = _private(path)
        self._write(MAGIC + salt)

    def append(self, entry: Entry) -> None:
        text = json.dumps({**asdict(entry), "raw": entry.raw.decode("latin-1")}).encode()
        sealed = self._cipher.encrypt(_nonce(self._count), text, self._name)
        self._count += 1
        self._write(LENGTH.pack(len(sealed)) + sealed)

    def _write(self, record: bytes) -> None:
        if self.file.write(record) != len(record):
            raise OSError(f"{self.file.name} has no room")


def read(folder: Path, key_file: Path) -> Iterator[Entry]:
    """All entries that are kept, oldest first; Refusal if the key does not fit.

    A file's last record may have been cut short by a crash and is passed over then.
    """
    key = key_file.read_bytes()
    for path in _files(folder):
        stored = path.read_bytes()
        salt_end = len(MAGIC) + SALT_BYTES
        cipher = _cipher(key, stored[len(MAGIC) : salt_end])
        at, count = salt_end, 0
        while at + LENGTH.size <= len(stored):
            (length,) = LENGTH.unpack_from(stored, at)
            sealed = stored[at + LENGTH.size : at + LENGTH.size + length]
            if len(sealed) < length:
                break
            try:
                members = json.loads(cipher.decrypt(_nonce(count), sealed, path.name.encode()))
            except InvalidTag:
                raise Refusal(f"{path} cannot be read with {key_file}, or was changed.") from None
            yield Entry(**{**members, "raw": members["raw"].encode("latin-1")})
            at, count = at + LENGTH.size + length, count + 1


def load_or_make_key(path: Path) -> bytes:
    """The journal's key, made at the first use in a file that only we may read."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with _private(unfinished) as file:
            file.write(os.urandom(KEY_BYTES))
        try:
            path.hardlink_to(unfinished)  # whole or not at all, and never over another's
        except FileExistsError:
            log.info("journal.key-made-by-another", path=str(path))
        finally:
            unfinished.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise OSError(f"{path} is no key")
    return key


def _private(path: Path) -> FileIO:
    return FileIO(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=MAGIC).derive(key))


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("frames-*.bin"), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[2])
