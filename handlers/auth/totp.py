"""Time-based one-time codes, RFC 6238: six digits of HMAC-SHA-1, a new one every thirty seconds.

These lines and the RFC's own test vectors are all there is to it. What makes codes safe (each step once, tries slowed
down, the secret sealed) no library does, so none is added.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

STEP_S: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20
STEPS_ASIDE: Final = 1  # how far the other clock may be off, either way


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, code: str, unix_s: float, last_step: int) -> int | None:
    """The step whose code this is, if it is near enough, and later than the last that was taken."""
    found = None
    for step in _steps_around(unix_s):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > last_step:
            found = step
    return found


def uri(secret: bytes, label: str) -> str:
    """What an authenticator app reads from a QR code."""
    return f"otpauth://totp/Firingline:{quote(label)}?secret={written(secret)}&issuer=Firingline"


def written(secret: bytes) -> str:
    return base64.b32encode(secret).decode()


def _steps_around(unix_s: float) -> Iterator[int]:
    now = int(unix_s) // STEP_S
    return iter(range(max(now - STEPS_ASIDE, 0), now + STEPS_ASIDE + 1))
