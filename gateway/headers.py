"""The request headers that mean something to a command: Idempotency-Key and Prefer."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from gateway.problems import invalid

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
PREFER: Final = "Prefer"
LONGEST_WAIT_S: Final = 30

_KEY: Final = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x20\x21\x23-\x7e]{1,255})')
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*(\d{1,9})\s*(?:$|[,;])", re.IGNORECASE)


def idempotency_key(request: web.Request) -> str | None:
    """The key, with or without the quotes that the standard's draft puts round it."""
    found = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not found:
        return None
    match = _KEY.fullmatch(found[0].strip())
    if match is None or len(found) > 1:
        raise invalid({"parameter": IDEMPOTENCY_KEY, "detail": "is one key of 1 to 255 printable ASCII characters"})
    return match[1] or match[2]


def wait_s(request: web.Request) -> int | None:
    """How long the client would wait for the outcome, at most (RFC 7240); what it prefers otherwise is ignored."""
    preferred = request.headers.getall(PREFER, None)
    found = None if preferred is None else _WAIT.search(", ".join(preferred))
    return None if found is None else min(int(found[1]), LONGEST_WAIT_S)
