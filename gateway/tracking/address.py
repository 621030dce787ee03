"""Where a target is found, and under which name its shots stand in the log.

    freetarget://[DEVICE@]HOST[:1090]                     we connect
    freetarget+sse://[DEVICE@]HOST[:80]                   we read its events
    disag://[DEVICE@]LISTEN[:30169]?range=3[&zone=…]      OpticScore sends datagrams to this address of ours
    sius://[DEVICE@]/path/to/folder?point=19[&zone=…]     SIUSData writes a file a day there
    csv:///path/to/file.csv?mapping=NAME[&zone=…]         any program writes rows there
    mqtt://[DEVICE@]BROKER[:1883][?topic=…]               our own form; the topic is firingline/DEVICE/shots by itself
    mqtt+biathlon://[DEVICE@]BROKER[:1883]?lane=3         target messaging API
    megalink+https://[DEVICE@]HOST/data/club/range.json?point=9

Without DEVICE a target has its lane's name. ZONE is the time zone of the maker's clock, UTC without it. A mapping is
`targetscan`, or the name of a file in FIRINGLINE_HOME/tracking/mappings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

CODE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
POINT: Final = re.compile(r"[A-Za-z0-9._-]{1,16}")
MAPPING: Final = re.compile(r"[a-z0-9_-]{1,40}")


class _Scheme(NamedTuple):
    """How an address of this kind is made up."""

    port: int = 0
    host: bool = True
    path: bool = False
    point: str | None = None  # the option that names the firing point
    options: frozenset[str] = frozenset()


SCHEMES: Final[Mapping[str, _Scheme]] = {
    "freetarget": _Scheme(1090),
    "freetarget+sse": _Scheme(80),
    "disag": _Scheme(30169, point="range", options=frozenset(("zone",))),
    "sius": _Scheme(host=False, path=True, point="point", options=frozenset(("zone",))),
    "csv": _Scheme(host=False, path=True, options=frozenset(("mapping", "zone"))),
    "mqtt": _Scheme(1883, options=frozenset(("topic",))),
    "mqtt+biathlon": _Scheme(1883, point="lane"),
    "megalink+http": _Scheme(80, path=True, point="point"),
    "megalink+https": _Scheme(443, path=True, point="point"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What one connection is made to; several lanes may share it."""

    scheme: str
    host: str
    port: int
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        return dict(self.options).get(name, "")


@dataclass(frozen=True, slots=True)
class Address:
    """A lane's place at a source."""

    device: str
    source: Source
    point: str = ""

    @property
    def host(self) -> str:
        return self.source.host

    @property
    def port(self) -> int:
        return self.source.port

    @classmethod
    def parse(cls, text: str, lane: str) -> Address | None:
        """The address that a text names; None if it names none."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
            told = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            return None
        scheme = SCHEMES.get(parts.scheme)
        device = parts.username or lane
        if scheme is None or not CODE.fullmatch(device) or (scheme.host and not host):
            return None
        path = unquote(parts.path) if scheme.path else ""
        point = told.pop(scheme.point, "") if scheme.point else ""
        if (scheme.path and not path) or (scheme.point and not POINT.fullmatch(point)):
            return None
        if not told.keys() <= scheme.options or (
            parts.scheme == "csv" and not MAPPING.fullmatch(told.get("mapping", ""))
        ):
            return None
        if parts.scheme == "mqtt":
            told.setdefault("topic", f"firingline/{device}/shots")
        options = tuple(sorted(told.items()))
        return cls(device, Source(parts.scheme, host, port or scheme.port, path, options), point)
