"""A way to the server that fails as networks fail: it cuts an answer off, falls silent, or breaks every connection.

It reads PostgreSQL's protocol just far enough to know which statement asks and when its answer is complete.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

READY = ord("Z")
PARSE, BIND, EXECUTE, QUERY = ord("P"), ord("B"), ord("E"), ord("Q")
GONE = (OSError, EOFError)


@dataclass
class Proxy:
    """Listens before a server; `cut_answer_to` loses one answer, `silent` all, `reset` ends what is open."""

    host: str
    server_port: int
    port: int = 0
    cuts: int = 0  # answers lost so far
    connections: int = 0
    _cut: bytes | None = None
    _speaking: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut_answer_to(self, words: str) -> None:
        """The next statement with these words is done by the server, and its answer never arrives: all breaks."""
        self._cut = words.encode()

    def silence(self) -> None:
        """Nothing passes any more, and nothing says so."""
        self._speaking.clear()

    def speak(self) -> None:
        self._speaking.set()

    def reset(self) -> None:
        """All connections break, with RST."""
        for writer in list(self._open):
            connection = writer.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def through(self, dsn: str) -> str:
        parts = urlsplit(dsn)
        login, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}", query="sslmode=disable"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.server_port)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(server_writer)
        link = _Link(self, reader, writer, server_reader, server_writer)
        ways = [asyncio.create_task(link.forward()), asyncio.create_task(link.back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for end in (writer, server_writer):
                self._open.discard(end)
                end.transport.abort()

    def takes_cut(self, statement: bytes) -> bool:
        if self._cut is None or self._cut not in statement:
            return False
        self._cut = None
        return True

    async def may_speak(self) -> None:
        await self._speaking.wait()


class _Link:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._losing = False
        self._prepared: dict[bytes, bytes] = {}
        self._bound = b""

    async def forward(self) -> None:
        """What the client says: first one message without a type, then typed ones."""
        with suppress(*GONE):
            length = await self._reader.readexactly(4)
            rest = await self._reader.readexactly(int.from_bytes(length) - 4)
            await self._to_server(length + rest)
            while True:
                kind, head, body = await _message(self._reader)
                if self._proxy.takes_cut(self._run(kind, body)):
                    self._losing = True
                await self._to_server(head + body)

    def _run(self, kind: int, body: bytes) -> bytes:
        """The text of the statement that this message runs; of the others it takes note."""
        if kind == PARSE:
            name, text, _ = body.split(b"\0", 2)
            self._prepared[name] = text
        elif kind == BIND:
            _, name, _ = body.split(b"\0", 2)
            self._bound = self._prepared[name]
        return {EXECUTE: self._bound, QUERY: body}.get(kind, b"")

    async def _to_server(self, message: bytes) -> None:
        await self._proxy.may_speak()
        self._server_writer.write(message)
        await self._server_writer.drain()

    async def back(self) -> None:
        """What the server answers; while an answer is being lost, nothing until it is complete, then the end."""
        with suppress(*GONE):
            while True:
                kind, head, body = await _message(self._server_reader)
                if self._losing:
                    if kind == READY:
                        self._proxy.cuts += 1
                        return
                    continue
                await self._proxy.may_speak()
                self._writer.write(head + body)
                await self._writer.drain()


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = await reader.readexactly(5)
    return head[0], head, await reader.readexactly(int.from_bytes(head[1:]) - 4)


@asynccontextmanager
async def proxy_before(dsn: str) -> AsyncIterator[Proxy]:
    """A proxy before the server of this DSN."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    proxy.speak()
    async with await asyncio.start_server(proxy.serve, "127.0.0.1") as server:
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.reset()
            proxy.speak()
