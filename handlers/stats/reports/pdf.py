"""A document on paper."""

from __future__ import annotations

import json
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import typst

CLUB: Final = "Firingline"
TEMPLATE: Final = "report.typ"


def pdf(document: dict[str, Any], foot: str, at: datetime) -> bytes:
    """The document as a tagged PDF; the same document gives the same bytes. Fonts come with typst, none of the system.

    `foot` stands at the end of every page, `at` is when it was made, with its offset.
    """
    compiled = typst.compile(
        files(__package__).joinpath(TEMPLATE).read_bytes(),
        format="pdf",
        sys_inputs={"document": json.dumps({"club": CLUB, **document, "foot": foot})},
        ignore_system_fonts=True,
        timestamp=at.replace(microsecond=0),
    )
    assert isinstance(compiled, bytes)
    return compiled
