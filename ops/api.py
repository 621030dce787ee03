"""The gateway as a client app sees it: requests with a token, answers as JSON, problems as exceptions."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

TIMEOUT_S: Final = 40.0
WAIT_S: Final = 20
Json = dict[str, Any]


class ApiProblem(Exception):  # noqa: N818 - an answer
    """The gateway answered with a problem (RFC 9457)."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title')}")

    @property
    def rule(self) -> str | None:
        """The rule that refused a command, if one did."""
        return self.problem.get("rule")


class Api:
    """One client of the gateway; with `log_in` it speaks for a person."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        self.token: str | None = None
        self.person: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def log_in(self, login: str, password: str) -> Self:
        answer = await self.post("/v1/sessions", {"login": login, "password": password})
        self.token = answer["access_token"]
        self.person = answer["person"]
        return self

    async def get(self, path: str, **query: str | int) -> Json:
        return await self.ask("GET", path, query=query)

    async def post(self, path: str, body: Json | None = None, *, key: str | None = None) -> Json:
        return await self.ask("POST", path, body=body if body is not None else {}, key=key)

    async def put(self, path: str, body: Json) -> Json:
        return await self.ask("PUT", path, body=body)

    async def command(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, wait_s: int = WAIT_S
    ) -> Json:
        """Sends a command and waits for its outcome; a rejection or failure is an ApiProblem."""
        answer = await self.ask(method, path, body=body if body is not None else {}, key=key, wait_s=wait_s)
        if answer.get("status") == "pending":
            raise ApiProblem(202, {"title": f"still pending after {wait_s} s", **answer})
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str | int] | None = None,
        key: str | None = None,
        wait_s: int | None = None,
    ) -> Json:
        headers = {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        if wait_s is not None:
            headers["Prefer"] = f"wait={wait_s}"
        async with self._session.request(
            method, f"{self._address}{path}", json=body, params=query or None, headers=headers
        ) as response:
            answer: Json = {} if response.status == 204 else await response.json(content_type=None)
            if response.status >= 400:
                raise ApiProblem(response.status, answer)
            return answer
