"""Datagrams that a maker's server sends to an address of ours."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from gateway.tracking.address import Source
from gateway.tracking.hearing import Hearing
from gateway.tracking.sources.reconnecting import over_and_over
from gateway.tracking.ways import DISAG

WAITING: Final = 2000  # datagrams that came and are not on the disk; more are lost, and counted
RECEIVE_BYTES: Final = 4 * 1024 * 1024  # the system may give less

log = structlog.get_logger(__name__)


class Datagrams:
    """Listens for OpticScore."""

    def __init__(self, source: Source, hearing: Hearing) -> None:
        self._source = source
        self.hearing = hearing
        self.connected = False
        self.lost = 0
        self.port = 0

    async def run(self) -> None:
        await over_and_over(f"disag on {self._source.host}:{self._source.port}", self._listen, (OSError,))

    async def _listen(self) -> bool:
        waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self, waiting), local_addr=(self._source.host, self._source.port)
        )
        self.port = transport.get_extra_info("sockname")[1]
        self.connected = True
        self.hearing.connected()
        try:
            while True:
                await self.hearing.heard(DISAG, await waiting.get(), self._source.option("zone"))
        finally:
            self.connected = False
            transport.close()


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, listener: Datagrams, waiting: asyncio.Queue[bytes]) -> None:
        self._listener = listener
        self._waiting = waiting

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            self._waiting.put_nowait(data)
        except asyncio.QueueFull:
            self._listener.lost += 1
            log.warning("datagram.lost", sender=addr[0], lost=self._listener.lost)
