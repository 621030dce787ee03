"""Where a target is found, and under which name its shots stand in the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

SCHEME: Final = "freetarget"
DEFAULT_PORT: Final = 1090
CODE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Address:
    """`freetarget://[DEVICE@]HOST[:PORT]`; without a device the target has its lane's name."""

    device: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, lane: str) -> Address | None:
        """The address that a text names; None if it names none."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError:
            return None
        device = parts.username or lane
        if parts.scheme != SCHEME or not host or not CODE.fullmatch(device):
            return None
        return cls(device, host, port)
