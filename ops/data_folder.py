"""PostgreSQL's data folder: making one, refusing a foreign one, reading its lock."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from bus.errors import Refusal
from ops.unprivileged import Account

ADMIN: Final = "postgres"
MAJOR_VERSION: Final = "18"
OTHERS_END_S: Final = 8.0  # a server whose supervisor was killed a moment ago is about to end


def initialise(data: Path, programs: Path, account: Account, password: str) -> str | None:
    """Make a cluster and move it into place when it is whole; return what initdb complained of."""
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    account.give(unfinished)
    with tempfile.NamedTemporaryFile("w", prefix="firingline-") as file:
        file.write(password)
        file.flush()
        account.give(Path(file.name))
        made = subprocess.run(
            [
                programs / "initdb",
                f"--pgdata={seen_from_inside(unfinished, account)}",
                f"--username={ADMIN}",
                f"--pwfile={file.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
                "--no-instructions",
            ],
            cwd=unfinished,
            user=account.uid,
            group=account.gid,
            extra_groups=account.groups,
            env=environment(),
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        return made.stdout + made.stderr
    unfinished.rename(data)
    return None


def refuse_foreign(data: Path) -> None:
    """Refuse to start over something that is not a cluster of this version; an absent folder is fine."""
    if not data.exists():
        return
    version = data / "PG_VERSION"
    if not version.exists():
        raise Refusal(f"{data} is no PostgreSQL data: move it away, or set FIRINGLINE_HOME elsewhere.")
    found = version.read_text().strip()
    if found != MAJOR_VERSION:
        raise Refusal(
            f"{data} holds data of PostgreSQL {found}, and this is {MAJOR_VERSION}: "
            "move it away, or set FIRINGLINE_HOME to another folder."
        )


def forget_dead_server(data: Path) -> None:
    """Remove a lock left by a server that is gone; wait for one about to go; refuse beside a living one.

    After a power cut another program may have that number, and PostgreSQL would take it for its own.
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


def is_ready(data: Path) -> bool:
    """Read the server's own statement, the eighth line of its lock."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def seen_from_inside(data: Path, account: Account) -> str:
    """Return the folder's name for a process started in it, which may be unable to walk there itself."""
    return str(data) if account.uid is None or sys.platform != "linux" else "/proc/self/cwd"


def environment() -> dict[str, str]:
    """Return ours without what would make PostgreSQL look elsewhere or speak another language."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _serves(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()) == data.resolve()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
