import itertools
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from ops.cli import COMMANDS
from ops.postgres import SETTINGS
from ops.services import SERVICES
from ops.settings import VARIABLES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in compose["services"].items() if each["image"] == "firingline"}


def test_it_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    jsonschema.validate(compose, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose | {"services": {"gateway": {"imagine": "firingline"}}}, schema)


def test_it_runs_what_firingline_up_runs(compose: dict[str, Any]) -> None:
    commands = {name: each["command"] for name, each in ours(compose).items()}
    assert commands == {
        "schema": ["migrate"],
        "gateway": ["gateway"],
        **{service: ["worker", service] for service in SERVICES},
    }


def test_every_command_in_it_exists(compose: dict[str, Any]) -> None:
    assert {each["command"][0] for each in ours(compose).values()} <= COMMANDS.keys()
    for name, each in ours(compose).items():
        if name != "schema":
            assert each["healthcheck"]["test"] == ["CMD", "python", "-m", "ops.cli", "health", name]


def test_every_setting_in_it_exists(compose: dict[str, Any]) -> None:
    named = set(itertools.chain.from_iterable(each["environment"] for each in ours(compose).values()))
    assert named <= set(VARIABLES.values())


def test_only_the_schema_job_knows_the_superuser(compose: dict[str, Any]) -> None:
    for name, each in ours(compose).items():
        assert ("PASSWORD" in each["environment"]["DATABASE_URL"]) == (name == "schema")


def test_only_who_makes_secrets_may_write_where_they_are_kept(compose: dict[str, Any]) -> None:
    for name, each in ours(compose).items():
        mode = "" if name in {"schema", "auth"} else ":ro"
        assert each["volumes"][0] == f"credentials:/var/lib/firingline/credentials{mode}"


def test_what_depends_on_another_waits_for_it(compose: dict[str, Any]) -> None:
    for name, each in ours(compose).items():
        needed = {"postgres": {"condition": "service_healthy"}}
        if name != "schema":
            needed = {"schema": {"condition": "service_completed_successfully"}}
        assert each["depends_on"] == needed
    assert "healthcheck" in compose["services"]["postgres"]


def test_its_postgres_is_set_up_as_the_embedded_one(compose: dict[str, Any]) -> None:
    given = dict(argument.split("=") for argument in compose["services"]["postgres"]["command"] if "=" in argument)
    assert given.items() <= SETTINGS.items()
    assert "max_prepared_transactions" in given


def test_every_place_that_is_mounted_belongs_to_the_user_of_the_image(compose: dict[str, Any]) -> None:
    made = re.search(r"install -d -o firingline -m 0700 (.*)", (ROOT / "Dockerfile").read_text())
    assert made is not None
    mounted = {volume.split(":")[1] for each in ours(compose).values() for volume in each["volumes"]}
    assert mounted <= set(made[1].split())


def test_the_image_holds_what_is_run() -> None:
    copied = {line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")}
    assert {"bus", "handlers", "gateway", "ops", "schema.sql", "migrations", "requirements.lock"} <= copied
    assert all((ROOT / name).exists() for name in copied)
