"""Which connection an address means."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gateway.tracking.address import Source
from gateway.tracking.freetarget import FreeTarget
from gateway.tracking.hearing import Hearing
from gateway.tracking.sources.broker import Broker
from gateway.tracking.sources.datagrams import Datagrams
from gateway.tracking.sources.events import MegalinkLive, TargetEvents
from gateway.tracking.sources.files import Files


class Connection(Protocol):
    """Hears for the lanes of a source."""

    connected: bool
    hearing: Hearing

    async def run(self) -> None:
        """Until cancelled."""


def connect_to(source: Source, hearing: Hearing, mappings: Path) -> Connection:
    """A connection to this source, which `run` makes. `mappings`: the folder with the mappings of tables."""
    match source.scheme:
        case "freetarget":
            return FreeTarget(source, hearing)
        case "freetarget+sse":
            return TargetEvents(source, hearing)
        case "disag":
            return Datagrams(source, hearing)
        case "sius" | "csv":
            return Files(source, hearing, mappings)
        case "mqtt" | "mqtt+biathlon":
            return Broker(source, hearing)
        case _:
            return MegalinkLive(source, hearing)
