"""A client that costs little: one keep-alive connection over HTTP/1.1, one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"


class Talk(asyncio.Protocol):
    """Sends requests as bytes and hands each answer's status and body to a function; `lost` is told of an early end."""

    def __init__(self, answered: Callable[[int, bytes], None], lost: Callable[[], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one without saying so

    def send(self, request: bytes) -> None:
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        self._lost = _expected
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(HEAD_END)
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        length_at = head.find(LENGTH)
        length = 0 if length_at < 0 else int(head[length_at + len(LENGTH) :].split(b"\r\n", 1)[0])
        body_at = head_end + len(HEAD_END)
        if len(self._received) < body_at + length:
            return
        body, self._received = self._received[body_at : body_at + length], self._received[body_at + length :]
        self._answered(int(head[9:12]), body)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._lost()


def post(path: str, body: bytes, **headers: str) -> bytes:
    """A POST request with a JSON body; header names are written with underscores."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items()),
    ]
    return "\r\n".join(lines).encode() + HEAD_END + body


def get(path: str, **headers: str) -> bytes:
    """A GET request."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items()),
    ]
    return "\r\n".join(lines).encode() + HEAD_END


def _expected() -> None:
    """We closed it ourselves."""
