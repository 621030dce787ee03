"""Structured concurrency: nothing leaks, no failure is lost, no cancellation is swallowed."""

import asyncio

import pytest

from bus.backoff import full_jitter
from bus.tasks import running, set_within, unless


class BrokenError(Exception):
    """What a task fails with."""


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def fails() -> None:
    await asyncio.sleep(0)
    raise BrokenError


async def test_what_runs_beside_a_block_ends_with_it():
    ended: list[str] = []
    async with running(forever(ended), forever(ended)):
        await asyncio.sleep(0)
    assert ended == ["ended"] * 2


async def test_a_failure_beside_the_block_ends_the_block_and_is_raised():
    ended: list[str] = []
    with pytest.raises(BrokenError):
        async with running(forever(ended), fails()):
            await asyncio.Event().wait()
    assert ended == ["ended"]


async def test_after_a_failure_was_raised_the_task_is_not_cancelled_any_more():
    """A cancellation that is not taken back makes the next time-out end the whole task."""
    for _ in range(3):
        with pytest.raises(BrokenError):
            async with running(fails()):
                await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert not await set_within(asyncio.Event(), 0.001)
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))


async def test_a_block_that_would_not_be_cancelled_hears_of_the_failure_at_its_end():
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    with pytest.raises(BrokenError):
        async with running(fails()):
            await stubborn()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_failure_while_the_block_is_leaving_cancels_nobody():
    async def fails_at_its_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise BrokenError

    async with running(fails_at_its_end()):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_failure_in_the_very_moment_of_leaving_cancels_nobody():
    gate = asyncio.Event()

    async def fails_at_the_gate() -> None:
        await gate.wait()
        raise BrokenError

    async with running(fails_at_the_gate()):
        await asyncio.sleep(0)
        gate.set()
        await asyncio.sleep(0)  # the task has failed, and its callback has not run yet
    await asyncio.sleep(0)


async def test_cancelling_the_whole_is_no_failure_and_goes_on():
    ended: list[str] = []

    async def whole() -> None:
        async with running(forever(ended)):
            await asyncio.Event().wait()

    task = asyncio.create_task(whole())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]


async def test_a_cancellation_that_meets_a_failure_is_not_swallowed():
    gate = asyncio.Event()

    async def fails_at_the_gate() -> None:
        await gate.wait()
        raise BrokenError

    async def whole() -> None:
        async with running(fails_at_the_gate()):
            await asyncio.Event().wait()

    task = asyncio.create_task(whole())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.set()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_outer_failure_is_raised_by_the_outer_block():
    gate = asyncio.Event()

    async def fails_at_the_gate() -> None:
        await gate.wait()
        raise BrokenError

    async def inner() -> None:
        async with running(forever([])):
            gate.set()
            await asyncio.Event().wait()

    with pytest.raises(BrokenError):
        async with running(fails_at_the_gate()):
            await inner()


async def test_an_error_of_the_block_is_its_own():
    with pytest.raises(KeyError):
        async with running(forever([])):
            raise KeyError


async def test_work_gives_its_result_unless_stopped_first():
    async def work() -> int:
        return 7

    assert await unless(asyncio.Event(), work()) == 7


async def test_work_is_cancelled_and_awaited_when_stopped():
    ended: list[str] = []
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_soon(stopping.set)
    await unless(stopping, forever(ended))
    assert ended == ["ended"]


async def test_an_error_of_the_work_is_raised():
    with pytest.raises(BrokenError):
        await unless(asyncio.Event(), fails())


async def test_cancelling_ends_the_work_too():
    ended: list[str] = []
    task = asyncio.create_task(unless(asyncio.Event(), forever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_waiting_grows_is_bounded_and_never_overflows():
    """A database may be away for days; a worker counts every failure."""
    assert all(0 <= full_jitter(1, first_s=0.2) <= 0.2 for _ in range(50))
    assert all(full_jitter(3, first_s=0.1) <= 0.4 for _ in range(50))
    assert max(full_jitter(9) for _ in range(200)) > 20
    assert all(full_jitter(attempt, longest_s=2.0) <= 2.0 for attempt in (20, 2_000, 1_000_000))
