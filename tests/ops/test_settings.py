import re
from pathlib import Path

import pytest

from bus.errors import Refusal
from ops.credentials import load_or_make
from ops.services import SERVICES
from ops.settings import VARIABLES, Settings, embedded_database_file
from ops.up import programs

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_is_documented_with_its_default() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", DOCS.read_text(), re.MULTILINE))
    defaults = Settings()
    for name, variable in VARIABLES.items():
        default = getattr(defaults, name)
        if name not in {"home", "database_url", "postgres_port"}:  # the docs say these in words
            assert documented[variable] == str(default)
    assert set(VARIABLES.values()) == documented.keys() - {"NO_COLOR"}


def test_every_variable_sets_its_field(tmp_path: Path) -> None:
    given = {
        "FIRINGLINE_HOME": str(tmp_path),
        "DATABASE_URL": "postgresql://somewhere/else",
        "FIRINGLINE_HOST": "::",
        "FIRINGLINE_PORT": "81",
        "FIRINGLINE_AUTH_HOST": "auth",
        "FIRINGLINE_AUTH_PORT": "82",
        "FIRINGLINE_METRICS_HOST": "::1",
        "FIRINGLINE_METRICS_PORT": "9100",
        "FIRINGLINE_POSTGRES_PORT": "83",
        "FIRINGLINE_POSTGRES_USER": "marksman",
        "FIRINGLINE_LOG_LEVEL": "debug",
        "FIRINGLINE_WORKERS": "booking=2,stats=16",
        "FIRINGLINE_STAFF_SECOND_FACTOR": "required",
        "FIRINGLINE_REQUEST_RATE": "7",
    }
    assert given.keys() == set(VARIABLES.values())
    settings = Settings.from_environment(given)
    assert {VARIABLES[name]: str(getattr(settings, name)) for name in VARIABLES} == given


@pytest.mark.parametrize(
    ("workers", "each"), [("1", [1, 1, 1, 1, 1]), ("3", [1, 3, 3, 3, 3]), ("stats=10,booking=2", [1, 2, 1, 1, 10])]
)
def test_every_service_has_so_many_workers_and_auth_one(workers: str, each: list[int]) -> None:
    """Auth's endpoint has one port."""
    settings = Settings(workers=workers)
    assert settings.workers_of == dict(zip(SERVICES, each, strict=True))
    names = [program.name for program in programs(settings)]
    assert len(names) == len(set(names)) == 1 + sum(each)
    assert [names.count(f"stats-{number}") for number in (1, each[4], each[4] + 1)] == [0, int(each[4] > 1), 0]


def test_empty_variables_count_as_absent() -> None:
    assert Settings.from_environment(dict.fromkeys(VARIABLES.values(), "")) == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FIRINGLINE_PORT", "http"),
        ("FIRINGLINE_AUTH_PORT", "65536"),
        ("FIRINGLINE_LOG_LEVEL", "loud"),
        ("FIRINGLINE_WORKERS", "0"),
        ("FIRINGLINE_WORKERS", "17"),
        ("FIRINGLINE_WORKERS", "booking"),
        ("FIRINGLINE_WORKERS", "auth=2"),
        ("FIRINGLINE_WORKERS", "booking=2,booking=3"),
        ("FIRINGLINE_WORKERS", "booking=17"),
        ("FIRINGLINE_STAFF_SECOND_FACTOR", "maybe"),
        ("FIRINGLINE_REQUEST_RATE", "-1"),
        ("FIRINGLINE_REQUEST_RATE", "1000001"),
    ],
)
def test_a_wrong_value_is_one_sentence(variable: str, text: str) -> None:
    with pytest.raises(Refusal, match=f"^{variable} is .*, not '{text}'.$"):
        Settings.from_environment({variable: text})


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://admin:s%40cret@db.example:5433/range?sslmode=require", "db.example:5433/range?sslmode=require"),
        ("postgresql://db.example/range?user=admin&password=secret", "db.example/range"),
        ("postgresql:///range?host=/run/postgresql", "/range?host=%2Frun%2Fpostgresql"),
        ("postgres://admin@[::1]:5432/range", "[::1]:5432/range"),
    ],
)
def test_each_role_goes_to_the_same_place_with_its_own_password(url: str, place: str, tmp_path: Path) -> None:
    password = load_or_make(tmp_path)["booking"].password
    dsn = Settings(home=tmp_path, database_url=url).dsn("booking")
    assert dsn.partition("://")[2] == f"firingline_booking:{password}@{place}"


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="start `make run`, or name one in DATABASE_URL"):
        _ = Settings(home=tmp_path).admin_url


def test_the_database_of_a_running_range_is_found(tmp_path: Path) -> None:
    embedded_database_file(tmp_path).write_text("postgresql://postgres@127.0.0.1:5/firingline\n")
    assert Settings(home=tmp_path).admin_url == "postgresql://postgres@127.0.0.1:5/firingline"
