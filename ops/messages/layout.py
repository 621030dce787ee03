"""JSON for people: what fits on a line stands on one, so that a changed field is a changed line."""

from __future__ import annotations

import json
from typing import Any, Final

WIDTH: Final = 118


def laid_out(content: Any) -> str:
    return f"{_laid_out(content, '')}\n"


def _laid_out(value: Any, margin: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(margin) + len(line) <= WIDTH:
        return line
    inner = f"{margin} "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_laid_out(one, inner)}" for key, one in value.items()]
    else:
        lines = [f"{inner}{_laid_out(one, inner)}" for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join((opening, ",\n".join(lines), f"{margin}{closing}"))
