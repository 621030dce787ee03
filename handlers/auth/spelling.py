"""One form for all ways to write the same name or number, so that it is found however it is written."""

from __future__ import annotations

import unicodedata


def one_spelling(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
