"""A connection to one freETarget: the target is the server, we read what it says for as long as it lives."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

import structlog

from bus.backoff import full_jitter
from gateway.tracking.address import Source
from gateway.tracking.frames import Scanner
from gateway.tracking.greeting import Greeting
from gateway.tracking.hearing import Hearing
from gateway.tracking.spool import Part

CONNECT_WITHIN_S: Final = 5.0
CHUNK_BYTES: Final = 16_384
QUIET_S: Final = 0.3  # after so long without a word, what a target repeats at connection is over
REPEATS_END_S: Final = 3.0  # or at the latest after this
NUDGE_AFTER_S: Final = 60.0  # a line end, which a target echoes, shows whether anybody is there
SILENCE_S: Final = 150.0  # a target says something every two minutes by itself
RECONNECT_FIRST_S: Final = 0.25
RECONNECT_LONGEST_S: Final = 10.0

log = structlog.get_logger(__name__)


class FreeTarget:
    """Reads one target, over as many connections as it takes."""

    def __init__(self, source: Source, hearing: Hearing) -> None:
        self._source = source
        self.hearing = hearing
        self.connected = False
        self._said = 0  # bytes

    async def run(self) -> None:
        """Connects, reads, and connects again, until cancelled."""
        failures = 0
        while True:
            try:
                reader, writer = await _connect(self._source)
            except OSError as error:  # a timeout is one as well
                failures += 1
                if failures == 1:
                    log.warning("target.away", host=self._source.host, port=self._source.port, error=repr(error))
            else:
                said = self._said
                await self._read_until_it_ends(reader, writer)
                failures = 1 if self._said > said else failures + 1
            await asyncio.sleep(full_jitter(failures, first_s=RECONNECT_FIRST_S, longest_s=RECONNECT_LONGEST_S))

    async def _read_until_it_ends(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hearing.connected()
        self.connected = True
        log.info("target.connected", host=self._source.host, port=self._source.port)
        scanner = Scanner()
        try:
            await self._take_repeats(reader, scanner)
            while chunk := await _read(reader, writer):
                await self.hearing.keep(self._heard(chunk, scanner, live=True))
        except OSError as error:
            log.info("target.lost", host=self._source.host, port=self._source.port, error=repr(error))
        finally:
            self.connected = False
            writer.close()

    async def _take_repeats(self, reader: asyncio.StreamReader, scanner: Scanner) -> None:
        """What a target tells at once may be long past. It is taken together, so that the last dates the others."""
        greeting = Greeting()
        parts: list[Part] = []
        ends_s = time.monotonic() + REPEATS_END_S
        while time.monotonic() < ends_s:
            try:
                async with asyncio.timeout(QUIET_S):
                    chunk = await reader.read(CHUNK_BYTES)
            except OSError:  # a timeout is one; what else it was the next read says again, and what was told is kept
                break
            if not chunk:
                break
            found = self._heard(chunk, scanner, live=False)
            parts += found
            if greeting.is_over((shot for part in found for shot in part.shots), time.monotonic()):
                break
        await self.hearing.keep(parts)

    def _heard(self, chunk: bytes, scanner: Scanner, *, live: bool) -> list[Part]:
        """The frames in a chunk that are to be kept: those of shots, and wrong ones."""
        self._said += len(chunk)
        parts = (self.hearing.part_of(one, live=live) for one in scanner.feed(chunk))
        return [part for part in parts if part is not None]


async def _connect(source: Source) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(CONNECT_WITHIN_S):
        reader, writer = await asyncio.open_connection(source.host, source.port, limit=CHUNK_BYTES)
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, option):  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return reader, writer


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The next chunk; empty at the end. Raises TimeoutError for a target that has fallen silent."""
    try:
        async with asyncio.timeout(NUDGE_AFTER_S):
            return await reader.read(CHUNK_BYTES)
    except TimeoutError:
        writer.write(b"\r\n")
    async with asyncio.timeout(SILENCE_S - NUDGE_AFTER_S):
        return await reader.read(CHUNK_BYTES)
