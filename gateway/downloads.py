"""Fetching the file of a report: in pieces, so that a large one takes no more memory than a small one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import hdrs, web

from gateway.caught_up import ACQUIRE_TIMEOUT_S
from gateway.problems import NOT_FOUND, REPORT_EXPIRED, REPORT_NOT_MADE, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit
from handlers.stats.views import reports

PIECE_BYTES: Final = 256 * 1024
FETCHED_WITHIN_S: Final = 120.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Downloads:
    """Sends a report's file. One that is not made yet, or not kept any more, is a problem with a name of its own."""

    deadline_s: ClassVar[float | None] = None  # the answer has begun by then; it has its own

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        file = await self._file(visit)
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: file.media_type,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{file.name}"',
                hdrs.CONTENT_LENGTH: str(file.size_bytes),
                hdrs.ETAG: f'"{file.sha256}"',
            }
        )
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S):
                await response.prepare(visit.request)
                await self._send(visit, response, file.size_bytes)
        except TimeoutError:
            log.info("download.stalled", path=visit.request.path)
            _hang_up(visit)
        return response

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Fetch the file of a report: PDF, CSV or Parquet, as it was ordered.",
            answers={200: None},
            media_type="application/octet-stream",
        )

    async def _file(self, visit: Visit) -> reports.File:
        key, viewer = visit.path["report"], None if visit.caller.staff else visit.caller.viewer
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            file = await reports.file(connection, key, viewer)
            if file is not None:
                return file
            report = await reports.report(connection, key, viewer)
        if report is None:
            raise Problem(NOT_FOUND)
        raise Problem(REPORT_EXPIRED if report.state == "made" else REPORT_NOT_MADE, report.reason)

    async def _send(self, visit: Visit, response: web.StreamResponse, size_bytes: int) -> None:
        for offset in range(0, size_bytes, PIECE_BYTES):
            async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                piece = await reports.piece(connection, visit.path["report"], offset, PIECE_BYTES)
            if piece is None:  # it expired, or its shooter was erased, in this very moment
                _hang_up(visit)
                return
            await response.write(piece)
        await response.write_eof()


def _hang_up(visit: Visit) -> None:
    if visit.request.transport is not None:
        visit.request.transport.abort()
