"""A process of its own that does what it is asked: a JSON object a line goes in, and one comes out for each answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from queue import SimpleQueue
from typing import Any, Final

from bus.errors import Refusal
from ops.log import configure
from ops.process import let_the_collector_rest, new_event_loop
from ops.settings import VARIABLES, Settings

ANSWER_WITHIN_S: Final = 300.0
STOP_WITHIN_S: Final = 5.0
LONGEST_LINE_BYTES: Final = 64 * 2**20

Answer = dict[str, Any]
Serve = Callable[[Settings, Answer, Callable[[Answer], None]], Coroutine[Any, Any, None]]
"""Does one thing that was asked, and answers as often as the asker expects."""


class Child:
    """The asker's end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def ask(self, **question: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(question)}\n".encode())

    async def answer(self) -> Answer:
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line = await self._process.stdout.readline()
        if not line:
            raise Refusal(f"A process of the bench ended (exit code {await self._process.wait()}); see above for why.")
        answer: Answer = json.loads(line)
        return answer


def child(module: str, settings: Settings) -> AbstractAsyncContextManager[Child]:
    """Runs `python -m module` on the same database with the same credentials, until the block ends."""
    return child_of((sys.executable, "-m", module), settings)


@asynccontextmanager
async def child_of(command: Sequence[str], settings: Settings) -> AsyncIterator[Child]:
    """The same with any program that takes questions and gives answers."""
    place = {VARIABLES["home"]: str(settings.home), VARIABLES["database_url"]: settings.admin_url}
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **place},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
    )
    try:
        yield Child(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def lent(running: Child) -> AsyncIterator[Child]:
    """A child that goes on after the block."""
    yield running


def serve(name: str, do: Serve) -> None:
    """The other end: does what it is asked, one after the other, and ends with the asker, whatever it is doing."""
    configure(name, "error")
    let_the_collector_rest()
    settings = Settings.from_environment()
    questions: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(questions,), daemon=True).start()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        while True:
            runner.run(do(settings, json.loads(questions.get()), _say))


def _listen(questions: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        questions.put(line)
    os._exit(0)


def _say(answer: Answer) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
