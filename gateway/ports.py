"""What the gateway works with. It is handed in, so that nothing happens at import and tests say what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from bus.bell import Bell
from bus.connection import Pool
from bus.group_commit import Accepted, Asked
from bus.outcomes import Outcomes
from bus.tail import Tail
from gateway.auth_endpoint import AuthEndpoint
from gateway.devices import Devices
from gateway.keys import KeyRing
from gateway.problems import BUSY, again_after
from gateway.pseudonyms import Pseudonyms
from gateway.rates import Rates
from gateway.revocations import Revocations
from gateway.tracking.imports import Form, ImportResult
from gateway.tracking.push import LinesResult, PushResult
from gateway.tracking.tracking import TargetStatus


class Commands(Protocol):
    """The way into the log."""

    async def accept(self, asked: Asked) -> Accepted: ...


class Targets(Protocol):
    """What comes from targets. Each raises Problem for what is wrong with it, and where there is no room for it."""

    async def push(self, raw: bytes, device: str, lane: str) -> PushResult:
        """Records what a device posted for a lane."""

    async def lines(self, raw: bytes, device: str, lane: str) -> LinesResult:
        """The same, one shot a line."""

    async def take_file(self, raw: bytes, form: Form, lane: str, actor: str) -> ImportResult:
        """Records another program's export for a lane, on somebody's authority."""

    def status(self) -> Sequence[TargetStatus]:
        """How it stands with each target that is followed from here."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything outside of the gateway that it reads from or writes to."""

    pool: Pool
    bell: Bell
    commands: Commands
    outcomes: Outcomes
    tail: Tail
    keys: KeyRing
    revocations: Revocations
    auth: AuthEndpoint
    rates: Rates
    devices: Devices
    targets: Targets
    pseudonyms: Pseudonyms
    registered: Callable[[], bool]  # whether the log takes what we append

    def must_append(self) -> None:
        """Sends away whoever wants something appended before auth has said that the gateway may."""
        if not self.registered():
            raise again_after(BUSY, 1, "The gateway has only just started, and may not append yet.")


PORTS: Final = web.AppKey("ports", Ports)
ENDING: Final = web.AppKey("ending", asyncio.Event)  # set when the gateway stops: whoever waits is answered
