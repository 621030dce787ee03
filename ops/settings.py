"""What can be set from outside: environment variables, each documented in docs/settings.md."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bus.errors import Refusal
from ops.credentials import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process."""

    home: Path
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    auth_port: int = 8081
    postgres_port: int = 0
    postgres_user: str = "nobody"
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        home = Path(environment.get("FIRINGLINE_HOME") or ".firingline").absolute()
        return cls(
            home=home,
            database_url=environment.get("DATABASE_URL") or _embedded_database(home),
            host=environment.get("FIRINGLINE_HOST", cls.host),
            port=_port(environment, "FIRINGLINE_PORT", cls.port),
            auth_port=_port(environment, "FIRINGLINE_AUTH_PORT", cls.auth_port),
            postgres_port=_port(environment, "FIRINGLINE_POSTGRES_PORT", cls.postgres_port),
            postgres_user=environment.get("FIRINGLINE_POSTGRES_USER", cls.postgres_user),
            log_level=environment.get("FIRINGLINE_LOG_LEVEL", cls.log_level),
        )

    def dsn(self, name: str) -> str:
        """Return the database's URL for one role, by its short name ("booking"), with its password."""
        credential = load(self.home, name)
        url = urlsplit(self.admin_url)
        place = url.netloc.rpartition("@")[2]
        query = [(key, part) for key, part in parse_qsl(url.query) if key not in {"user", "password"}]
        netloc = f"{credential.role}:{quote(credential.password, safe='')}@{place}"
        return urlunsplit((url.scheme, netloc, url.path, urlencode(query), ""))

    @property
    def admin_url(self) -> str:
        """The database's URL as it was given, with the rights to change the schema."""
        if self.database_url is None:
            raise Refusal("No database is running: start `make run`, or name one in DATABASE_URL.")
        return self.database_url


def embedded_database_file(home: Path) -> Path:
    """Return the file in which a running `firingline up` says where its PostgreSQL listens."""
    return home / "database_url"


def _embedded_database(home: Path) -> str | None:
    try:
        return embedded_database_file(home).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise Refusal(f"{home} belongs to another user: run as that user, or set FIRINGLINE_HOME.") from None


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) > 65535:
        raise Refusal(f"{name} is a port number up to 65535, not {text!r}.")
    return int(text)
