import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["a place with spaces & 'quotes'", "x" * 120])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Make a checkout with what `make setup` reads, and an environment that looks as if it were made there."""
    folder = tmp_path / str(request.param)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "environment: $*"\n')
    python.chmod(0o755)
    (folder / ".venv" / "made-for").write_text(f"{folder}\n")
    return folder


OF_A_MAKE_AROUND_US = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")  # the tests may have been started by `make test`


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    alone = {name: text for name, text in os.environ.items() if name not in OF_A_MAKE_AROUND_US}
    command = ["make", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=alone)


def stand_in_for_python(checkout: Path, script: str) -> str:
    python = checkout / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return "PYTHON=./python"


def test_where_nothing_changed_setup_does_nothing(checkout: Path) -> None:
    done = make(checkout, "-s", "setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_lock_is_installed_once(checkout: Path) -> None:
    os.utime(checkout / ".venv" / "made-for", (0, 0))  # older than the lock
    python = stand_in_for_python(checkout, "exit 0")
    done = make(checkout, "-s", "setup", python)
    assert "environment: -m pip install" in done.stdout
    assert "--require-hashes --no-deps -r requirements-dev.lock" in done.stdout
    assert make(checkout, "-s", "setup", python).stdout == ""


def test_an_environment_that_was_moved_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / "made-for").write_text("/somewhere/else\n")
    done = make(checkout, "-s", "setup", stand_in_for_python(checkout, 'echo "outside: $*"'))
    assert "outside: -m venv --clear .venv" in done.stdout
    assert (checkout / ".venv" / "made-for").read_text() == f"{checkout}\n"


def test_an_old_python_is_one_sentence(checkout: Path) -> None:
    (checkout / ".venv" / "made-for").unlink()
    done = make(checkout, "-s", "run", stand_in_for_python(checkout, "exit 1"))
    assert done.returncode != 0
    sentence, *others = done.stderr.splitlines()
    assert sentence == ("Firingline needs Python 3.11 or newer; name one with: make run PYTHON=/path/to/python3")
    assert all(line.startswith("make: ") for line in others)


def test_every_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert targets == {"help", "setup", "run", "test", "check", "format", "bench", "peers", "lock"}
    explained = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in explained.splitlines() if line.startswith("make ")} == targets


def test_the_locks_name_no_place_to_download_from() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock"):
        lock = (ROOT / name).read_text()
        assert not re.search(r"https?:|file:|index-url|find-links|\s/", lock)
        requirements = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
        assert len(requirements) > 20
        assert len(re.findall(r"^[\w.-]+==.*\\\n +--hash=sha256:", lock, re.MULTILINE)) == len(requirements)
