"""The folder that keeps an installation's data, credentials and logs, for one `firingline up` at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bus.errors import Refusal


@contextmanager
def occupied(home: Path) -> Iterator[None]:
    """Make the folder if need be and hold it for ourselves; the system lets go of it however we end."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refusal(f"{home} cannot be used ({error.strerror}): set FIRINGLINE_HOME to another folder.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip() or "unknown"
            raise Refusal(
                f"Firingline is running already in {home} (process {holder}): stop it or set FIRINGLINE_HOME."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
