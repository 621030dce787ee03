"""Documents tell the truth about the files: what they link to and name exists."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
NAMED_FILE = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]*(?:\.(?:py|sql|md|yaml|toml))?)`")
NAMED_TEST = re.compile(r"`(tests/[a-z_/]+\.py)(?:::([a-z_0-9]+))?`")


@cache
def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def documents() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("document", documents())
def test_every_link_leads_somewhere(document: str):
    path = ROOT / document
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", documents())
def test_every_file_that_is_named_exists(document: str):
    """From the top if it begins with one of our folders; a module otherwise from where the document stands."""
    path = ROOT / document
    named = NAMED_FILE.findall(path.read_text())
    ours = [name for name in named if (ROOT / name.split("/")[0]).is_dir()]
    beside = [name for name in named if name not in ours and name.endswith(".py")]
    assert [name for name in ours if not (ROOT / name).exists()] == []
    assert [name for name in beside if not (path.parent / name).exists()] == []


def test_every_promise_names_tests_that_exist():
    rows = [
        line
        for line in (ROOT / "docs/guarantees.md").read_text().splitlines()
        if line.startswith("|") and not line.startswith(("| promise", "|---"))
    ]
    assert len(rows) > 20
    for row in rows:
        named = NAMED_TEST.findall(row)
        assert named, f"no test keeps this promise: {row}"
        for file, function in named:
            assert function in {"", *_functions(ROOT / file)}, f"{file} has no {function}"


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_decisions_are_numbered_one_by_one():
    pages = sorted(path for path in tracked() if path.match("docs/decisions/[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in pages]
    assert numbers == list(range(1, len(pages) + 1))
    assert [path.name for path in pages if not path.read_text().startswith(f"# {int(path.name[:4])}. ")] == []


def test_no_file_names_a_registry_or_a_folder_of_the_machine_it_was_made_on():
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb.debian" + ".org")
    for path in tracked():
        if path.suffix in {".png", ".ico"}:
            continue
        text = path.read_text(errors="replace")
        for word in (*hosts, "/" + "work/main", "/" + "root/"):
            assert word not in text, f"{path} names {word}"
