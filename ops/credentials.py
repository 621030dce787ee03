"""One credential per database role: its password, and the secret with which a service asks auth for a token.

They are made once, each in a file of its own that only its owner may read, so that a process can be given its
own and no other.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bus.errors import Refusal
from ops.services import SERVICES

NAMES: Final = ("owner", *SERVICES, "gateway", "analyst", "operator")
SUPERUSER: Final = "postgres"
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Credential:
    """What one role proves itself with."""

    role: str
    password: str
    secret: str


def load_or_make(home: Path) -> dict[str, Credential]:
    """Return every role's credential by its short name, making those that are missing."""
    return {name: _load_or_make(home, name, f"firingline_{name}") for name in NAMES}


def superuser_password(home: Path) -> str:
    """Return the password of the embedded PostgreSQL's superuser, making it at the first call."""
    return _load_or_make(home, SUPERUSER, SUPERUSER).password


def load(home: Path, name: str) -> Credential:
    """Read the credential of one role; `name` is short, as in "booking"."""
    path = _path(home, name)
    try:
        return Credential(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise Refusal(f"There is no credential {path}: run `firingline migrate` first.") from None
    except PermissionError:
        raise Refusal(f"The credential {path} belongs to another user.") from None
    except (ValueError, TypeError):
        raise Refusal(f"{path} is not a credential: move it away and run `firingline migrate`.") from None


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 (mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise Refusal(f"{path} cannot be written ({error.strerror}): see FIRINGLINE_HOME.") from error


def _load_or_make(home: Path, name: str, role: str) -> Credential:
    if _path(home, name).exists():
        return load(home, name)
    credential = Credential(
        role=role,
        password=secrets.token_urlsafe(SECRET_BYTES),
        secret=secrets.token_urlsafe(SECRET_BYTES),
    )
    write_private(_path(home, name), json.dumps(asdict(credential), indent=2) + "\n")
    return credential


def _path(home: Path, name: str) -> Path:
    return home / "credentials" / f"{name}.json"
