"""A log file that never grows past a bound: when full it becomes `<name>.1` in place of the one before."""

from contextlib import suppress
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 4 * 1024 * 1024


class BoundedLog:
    """Raw bytes in, at most two files of `limit_bytes` on disk."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append; what a full disk does not take is lost, since whoever speaks must not be held up by it."""
        if self._file.tell() + len(chunk) > self._limit_bytes:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab", buffering=0)
        with suppress(OSError):
            self._file.write(chunk)

    def close(self) -> None:
        self._file.close()


def tail(path: Path, lines: int = 15, limit_bytes: int = 16_384) -> str:
    """Return the last lines of a log, or an empty string where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - limit_bytes))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
