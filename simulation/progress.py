"""What is shown while the day goes on: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bus.tasks import running
from simulation.history import History

LOOK_S: Final = 0.2
LINE_EVERY_S: Final = 5.0


class Display:
    """Says sentences, and shows how far the day has come, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began_s = time.monotonic()

    def tell(self, sentence: str) -> None:
        self._console.print(f"[{time.monotonic() - self._began_s:6.1f} s] {sentence}", markup=False, soft_wrap=True)

    @asynccontextmanager
    async def following(self, history: History, totals: dict[str, int]) -> AsyncIterator[None]:
        """Shows how often each thing has happened, of so many times at most, while the block runs."""
        follow = self._bars if self._console.is_terminal else self._lines
        async with running(follow(history, totals)):
            yield
        if not self._console.is_terminal:
            self.tell(_line(history, totals))

    async def _bars(self, history: History, totals: dict[str, int]) -> None:
        columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            tasks = {what: progress.add_task(what, total=total) for what, total in totals.items()}
            try:
                while True:
                    _update(progress, tasks, history)
                    await asyncio.sleep(LOOK_S)
            finally:
                _update(progress, tasks, history)

    async def _lines(self, history: History, totals: dict[str, int]) -> None:
        told = ""
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            line = _line(history, totals)
            if line != told:
                self.tell(line)
                told = line


def _update(progress: Progress, tasks: dict[str, TaskID], history: History) -> None:
    for what, task in tasks.items():
        progress.update(task, completed=history.happened[what])


def _line(history: History, totals: dict[str, int]) -> str:
    return ", ".join(f"{what} {history.happened[what]}/{total}" for what, total in totals.items())
