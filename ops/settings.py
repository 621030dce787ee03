"""What can be set from outside: environment variables, each documented in docs/settings.md."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bus.errors import Refusal
from ops.credentials import load
from ops.services import SERVICES, WORKERS_AT_MOST

# Each field of Settings and the variable that sets it.
VARIABLES: Final = {
    "home": "FIRINGLINE_HOME",
    "database_url": "DATABASE_URL",
    "host": "FIRINGLINE_HOST",
    "port": "FIRINGLINE_PORT",
    "auth_host": "FIRINGLINE_AUTH_HOST",
    "auth_port": "FIRINGLINE_AUTH_PORT",
    "metrics_host": "FIRINGLINE_METRICS_HOST",
    "metrics_port": "FIRINGLINE_METRICS_PORT",
    "postgres_port": "FIRINGLINE_POSTGRES_PORT",
    "postgres_user": "FIRINGLINE_POSTGRES_USER",
    "log_level": "FIRINGLINE_LOG_LEVEL",
    "workers": "FIRINGLINE_WORKERS",
    "staff_second_factor": "FIRINGLINE_STAFF_SECOND_FACTOR",
    "request_rate": "FIRINGLINE_REQUEST_RATE",
}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
MOST: Final = 1_000_000
SECOND_FACTOR: Final = ("optional", "required")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process."""

    home: Path = Path(".firingline")
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    auth_host: str = "127.0.0.1"
    auth_port: int = 8081
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    postgres_port: int = 0
    postgres_user: str = "nobody"
    log_level: str = "info"
    workers: str = "1"
    staff_second_factor: str = "optional"
    request_rate: int = 200

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", self.home.absolute())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        def text(name: str) -> str:
            return environment.get(VARIABLES[name]) or str(getattr(cls, name))

        return cls(
            home=Path(text("home")),
            database_url=environment.get(VARIABLES["database_url"]) or None,
            host=text("host"),
            port=_port(VARIABLES["port"], text("port")),
            auth_host=text("auth_host"),
            auth_port=_port(VARIABLES["auth_port"], text("auth_port")),
            metrics_host=text("metrics_host"),
            metrics_port=_port(VARIABLES["metrics_port"], text("metrics_port")),
            postgres_port=_port(VARIABLES["postgres_port"], text("postgres_port")),
            postgres_user=text("postgres_user"),
            log_level=_one_of(LOG_LEVELS, VARIABLES["log_level"], text("log_level")),
            workers=_workers(text("workers")),
            staff_second_factor=_one_of(SECOND_FACTOR, VARIABLES["staff_second_factor"], text("staff_second_factor")),
            request_rate=_number(VARIABLES["request_rate"], text("request_rate")),
        )

    @property
    def workers_of(self) -> dict[str, int]:
        """How many workers of each service there are to be."""
        many = int(self.workers) if self.workers.isdecimal() else 1
        named = {} if self.workers.isdecimal() else dict(part.split("=") for part in self.workers.split(","))
        return {name: int(named.get(name, 1 if name == "auth" else many)) for name in SERVICES}

    @property
    def auth_address(self) -> str:
        """Where auth's own endpoint is to be reached."""
        return f"http://{self.auth_host}:{self.auth_port}"

    @property
    def admin_url(self) -> str:
        """The database's URL as it was given, or of the PostgreSQL that a running `firingline up` keeps."""
        url = self.database_url or _embedded_database(self.home)
        if url is None:
            raise Refusal("No database is running: start `make run`, or name one in DATABASE_URL.")
        return url

    def dsn(self, name: str) -> str:
        """Return the database's URL for one role, by its short name ("booking"), with its password."""
        credential = load(self.home, name)
        url = urlsplit(self.admin_url)
        place = url.netloc.rpartition("@")[2]
        query = [(key, part) for key, part in parse_qsl(url.query) if key not in {"user", "password"}]
        netloc = f"{credential.role}:{quote(credential.password, safe='')}@{place}"
        return urlunsplit((url.scheme, netloc, url.path, urlencode(query), ""))


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


def _port(variable: str, text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise Refusal(f"{variable} is a port number up to 65535, not {text!r}.")
    return int(text)


def _number(variable: str, text: str) -> int:
    if not text.isdecimal() or int(text) > MOST:
        raise Refusal(f"{variable} is a number up to {MOST}, not {text!r}.")
    return int(text)


def _workers(text: str) -> str:
    many = rf"([1-9]|1[0-{WORKERS_AT_MOST - 10}])"
    several = "|".join(name for name in SERVICES if name != "auth")
    named = {part.partition("=")[0] for part in text.split(",")}
    if not re.fullmatch(rf"{many}|({several})={many}(,({several})={many})*", text) or len(named) <= text.count(","):
        raise Refusal(
            f"{VARIABLES['workers']} is a number up to {WORKERS_AT_MOST}, or one for each service but auth that has "
            f"several, like booking=2,stats=3, not {text!r}."
        )
    return text


def _one_of(choices: tuple[str, ...], variable: str, text: str) -> str:
    if text not in choices:
        raise Refusal(f"{variable} is one of {', '.join(choices)}, not {text!r}.")
    return text
