"""Folders in memory, where there is enough of it: clusters are made in them by the dozen."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(home: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=home) as folder:
        yield Path(folder)
