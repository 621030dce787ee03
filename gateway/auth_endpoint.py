"""The way to auth's own endpoint, which personal data and secrets go instead of through the log.

What may be repeated is repeated while auth restarts. When it stays away the circuit opens: callers are told at once,
and a probe finds out when it is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import stamina
import structlog
from aiohttp import hdrs
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from gateway.problems import AUTH_AWAY, Problem, again_after

ANSWER_WITHIN_S: Final = 5.0
CONNECT_WITHIN_S: Final = 1.0
CONNECTIONS: Final = 50
LARGEST_ANSWER_BYTES: Final = 256 * 1024
ATTEMPTS: Final = 4
RETRY_WITHIN_S: Final = 3.0
FAILURES_TO_OPEN: Final = 5
OPEN_FOR_S: Final = 2.0
CIRCUIT: Final = "auth"
PASSED_ON: Final = (hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE, hdrs.LOCATION)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What auth said."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


class Unreached(Exception):  # noqa: N818 - a passing state
    """Auth was not reached, and has not seen the request."""


class Unanswered(Exception):  # noqa: N818 - a passing state
    """Auth gave no answer; it may have seen the request."""


class AuthEndpoint:
    """Asks auth, within bounds of time and size. `close` it in the end."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=FAILURES_TO_OPEN, default_ttl=OPEN_FOR_S)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, repeatable: bool) -> Answer:
        """Auth's answer, whatever it is; raises the problem that auth is away.

        What is not `repeatable` is asked again only if it certainly did not arrive.
        """
        again = (Unreached, Unanswered) if repeatable else Unreached
        try:
            async for attempt in stamina.retry_context(
                on=again, attempts=ATTEMPTS, timeout=RETRY_WITHIN_S, wait_initial=0.05, wait_max=1.0, wait_jitter=0.2
            ):
                with attempt:
                    async with await self._breakers.get_breaker(CIRCUIT):
                        return await self._ask_once(method, path, body, headers)
        except OpenedState as opened:
            raise _away() from opened
        except (Unreached, Unanswered) as away:
            log.warning("auth.away", method=method, error=repr(away.__cause__ or away))
            raise _away() from away
        raise AssertionError("stamina either returns or raises")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask_once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            async with self._opened().request(
                method, self._base_url + path, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                content = await _whole(response)
        except aiohttp.ClientConnectorError as error:
            raise Unreached from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unanswered from error
        passed_on: dict[str, str] = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        return Answer(response.status, response.content_type, content, passed_on)

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made at the first use: it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S, sock_connect=CONNECT_WITHIN_S),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for part in response.content.iter_any():
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            raise Unanswered("auth answered at too great a length")
    return content


def _away() -> Problem:
    return again_after(AUTH_AWAY, int(OPEN_FOR_S))
