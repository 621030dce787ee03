"""A client app as a good one is: every command has a key, is sent again while the range is away, and is followed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import aiohttp

from bus.errors import Refusal
from ops.api import Api, ApiProblem, Json
from simulation.history import History

AWAY: Final = (429, 502, 503, 504)
NOT_FOUND: Final = 404
PATIENCE_S: Final = 30.0
LOOK_S: Final = 0.1
WAIT_S: Final = 10
ID_LENGTH: Final = 36


class NotPlayed(Refusal):
    """The day cannot go on."""


class Client(Api):
    """Somebody's app. What it is told goes into the history."""

    def __init__(self, address: str, history: History, name: str) -> None:
        super().__init__(address)
        self.history = history
        self.name = name
        self._keys = count(1)
        self.twice = False  # send every command a second time: at once, or after the first was answered, by turns
        self._at_once = False

    def new_key(self) -> str:
        return f"{self.name}-{next(self._keys)}"

    async def ask(self, method: str, path: str, **how: Any) -> Json:
        with _patience(f"{method} {path} had no answer"):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        return await super().ask(method, path, **how)
                    except ApiProblem as problem:
                        if problem.status not in AWAY:
                            raise
                    except aiohttp.ClientConnectionError:
                        pass  # it is the same request again, and nothing counts twice
                    await asyncio.sleep(LOOK_S)
        raise AssertionError("the time-out ends it")

    async def command(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, wait_s: int = WAIT_S
    ) -> Json:
        key = key or self.new_key()
        if not self.twice:
            return await self._command(method, path, body, key, wait_s)
        self._at_once = not self._at_once
        answers: list[Json | BaseException] = []
        for together in (2,) if self._at_once else (1, 1):
            sent = (self._command(method, path, body, key, wait_s) for _ in range(together))
            answers += await asyncio.gather(*sent, return_exceptions=True)
        return self._same(answers, key)

    def _same(self, answers: list[Json | BaseException], key: str) -> Json:
        """The one answer that a command has, however often it was sent."""
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        told = [answer for answer in answers if not isinstance(answer, BaseException)]
        if len({answer["command"] for answer in told}) != 1:
            raise NotPlayed(f"The key {key} made several commands.")
        self.history.repeats += len(told) - 1
        return told[0]

    async def _command(self, method: str, path: str, body: Json | None, key: str, wait_s: int) -> Json:
        what = _what(method, path)
        try:
            answer = await self.ask(method, path, body=body if body is not None else {}, key=key, wait_s=wait_s)
            self.history.accepted(what, answer["command"])
            with _patience(f"{what} had no outcome"):
                async with asyncio.timeout(PATIENCE_S):
                    while answer["status"] == "pending":
                        await asyncio.sleep(LOOK_S)
                        answer = await self.get(f"/v1/commands/{answer['command']}")
        except ApiProblem as problem:
            self.history.ended(what, problem.problem)
            raise
        self.history.ended(what, answer)
        if answer["status"] != "done":
            raise ApiProblem(409, {**answer, **(answer.get("rejection") or {})})
        return answer

    async def until(self, path: str, condition: Callable[[Json], bool], *, patience_s: float = PATIENCE_S) -> Json:
        """Reads until what is read is as it should be; what is not there may not have been heard of yet."""
        with _patience(f"GET {path} never came to what was waited for"):
            async with asyncio.timeout(patience_s):
                while True:
                    try:
                        answer = await self.get(path)
                    except ApiProblem as problem:
                        if problem.status != NOT_FOUND:
                            raise
                    else:
                        if condition(answer):
                            return answer
                    await asyncio.sleep(LOOK_S)
        raise AssertionError("the time-out ends it")


async def heard_of(ask: Callable[[], Awaitable[Json]], *rules: str) -> Json:
    """Asks again while a service has not heard yet of what another did; its rules say so."""
    with _patience(f"still refused by {', '.join(rules)}"):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await ask()
                except ApiProblem as problem:
                    if problem.rule not in rules:
                        raise
                await asyncio.sleep(LOOK_S)
    raise AssertionError("the time-out ends it")


@contextmanager
def _patience(sentence: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise NotPlayed(f"{sentence}.") from None


def _what(method: str, path: str) -> str:
    """What is asked, without names and ids: `POST bookings/check-in`."""
    first, _, *others = [*path.removeprefix("/v1/").split("/"), ""]
    return f"{method} {'/'.join((first, *(word for word in others if word and len(word) != ID_LENGTH)))}"
