"""docs/security.md tells the truth: each line names tests that exist, or says that nothing keeps it yet."""

import re

import pytest

from tests.house.test_documents import NAMED_TEST, ROOT, _functions

ROWS = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if re.match(r"\| S\d", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_line_names_tests_that_exist_or_says_openly_that_none_keeps_it(row: str):
    named = NAMED_TEST.findall(row)
    assert named or "| not yet" in row
    for file, function in named:
        assert function in _functions(ROOT / file), f"{file} has no {function}"


def test_every_critical_line_is_there():
    assert [f"S{number}" for number in range(1, 17)] == [row.split()[1] for row in ROWS[:16]]
