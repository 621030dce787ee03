"""The HTTP server under the application: its deadlines, and problem documents even for what is not HTTP."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web
from aiohttp.http import HttpRequestParser
from aiohttp.web_protocol import RequestHandler

from bus.identity import uuid7
from gateway.frame import ALWAYS, REQUEST_ID_HEADER
from gateway.problems import FAULT, MALFORMED_REQUEST, Problem

KEEPALIVE_S: Final = 15.0  # aiohttp also takes it as the deadline of a request's head
LINGER_S: Final = 5.0  # how long a refused body is still read and thrown away
SHUTDOWN_S: Final = 1.0
C_PARSER: Final = "aiohttp._http_parser"
LONGEST_COMPLAINT: Final = 200


class Runner(web.AppRunner):
    """Serves the application by HTTP/1 with aiohttp's parser in C, and gives up on whoever is too slow."""

    def __init__(self, app: web.Application) -> None:
        assert HttpRequestParser.__module__ == C_PARSER, "the parser in Python is slower, and laxer"
        super().__init__(app, access_log=None, shutdown_timeout=SHUTDOWN_S)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=False,  # a command whose sender hangs up is finished all the same
            loop=asyncio.get_running_loop(),
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
            logger=_COMPLAINTS,
        )


if TYPE_CHECKING:
    _RequestHandler = RequestHandler
else:
    _RequestHandler = RequestHandler  # generic for type checkers alone


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(_RequestHandler):
    """A connection whose parsing errors are answered, and logged, like any other problem."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        answer = super().handle_error(request, status, exc, message)
        kind = FAULT if status >= FAULT.status else MALFORMED_REQUEST
        request_id = str(uuid7())
        answer = Problem(kind).response(request_id)
        answer.headers.update({**ALWAYS, REQUEST_ID_HEADER: request_id, hdrs.CACHE_CONTROL: "no-store"})
        answer.force_close()
        return answer


class _Capped(logging.Filter):
    """Keeps what a client sent from filling the log: no trace, and the message cut."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        record.msg = f"{record.getMessage()}: {type(error).__name__}"[:LONGEST_COMPLAINT]
        record.args, record.exc_info = None, None
        return True


_COMPLAINTS: Final = logging.getLogger("firingline.http")
_COMPLAINTS.addFilter(_Capped())
