"""Small pieces of structured concurrency that asyncio lacks in Python 3.11."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs coroutines beside a block. If one fails, the block is cancelled and the failure raised from here."""
    block = asyncio.current_task()
    assert block is not None, "running() is used inside a task"
    cancelled_before = block.cancelling()
    failures: list[BaseException] = []
    inside = True

    def ended(task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None and inside:
            failures.append(failure)
            if len(failures) == 1:
                block.cancel()

    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        try:
            yield
        finally:
            inside = False
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
    except BaseException:
        # Our own cancellation is taken back; somebody else's goes on.
        if failures and block.uncancel() <= cancelled_before:
            raise failures[0] from None
        raise
    if failures:  # and the block went on in spite of it
        block.uncancel()
        raise failures[0]


async def set_within(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event is set in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def unless(stopping: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of some work; None if `stopping` is set first, and the work is then cancelled."""
    stop = asyncio.create_task(stopping.wait())
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it had its chance to say so


async def set_after(first: asyncio.Event, then: asyncio.Event) -> None:
    """Sets one event once another is set."""
    await first.wait()
    then.set()
