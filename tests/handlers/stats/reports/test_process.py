"""However a report's process ends, it is understood, and nothing of it is left."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import psutil
import pytest

from handlers.stats.reports import process
from handlers.stats.reports.order import Order, Task, Unmakeable, Word
from handlers.stats.reports.process import Away, make_in_a_process

CHILDREN = "tests.handlers.stats.reports.children"


@pytest.fixture(autouse=True)
def other_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MODULE", CHILDREN)


def task(discipline: str | None = None) -> Task:
    order = Order(report=UUID(int=1), kind="season-report", format="pdf", discipline=discipline)
    return Task(order=order, dsn="postgresql://nowhere.invalid/x", at=datetime(2026, 1, 1, tzinfo=UTC))


async def make(discipline: str | None = None) -> tuple[bytes, list[Word]]:
    words: list[Word] = []

    async def tell(word: Word) -> None:
        words.append(word)

    return await make_in_a_process(task(discipline), tell), words


async def test_it_tells_how_far_it_is_and_gives_back_the_file_politely():
    content, words = await make()
    assert b"under niceness 10" in content
    assert words == [Word(stage="drawing", percent=40)]


@pytest.mark.parametrize(
    ("discipline", "reason"),
    [
        ("hungry", process.TOO_MUCH_MEMORY),
        ("deadly", process.FAULT),
        ("wrong", process.FAULT),
        ("endless", process.TOO_LARGE),
        ("refused", "There is nothing to be told."),
    ],
)
async def test_a_report_that_cannot_be_made_says_why(discipline: str, reason: str):
    with pytest.raises(Unmakeable) as refused:
        await make(discipline)
    assert str(refused.value) == reason


async def test_a_report_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "WITHIN_S", 1.0)
    monkeypatch.setattr(process, "OVERTIME_S", 1.0)
    with pytest.raises(Unmakeable) as refused:
        await make("slow")
    assert str(refused.value) == process.TOO_LONG
    assert _left() == []


async def test_a_database_that_is_away_is_no_failure():
    with pytest.raises(Away):
        await make("away")


async def test_whoever_waits_for_it_no_more_leaves_no_process():
    making = asyncio.create_task(make("slow"))
    async with asyncio.timeout(20):
        while not _left():
            await asyncio.sleep(0.05)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert _left() == []


def _left() -> list[psutil.Process]:
    own = psutil.Process().children(recursive=True)
    return [one for one in own if one.status() != psutil.STATUS_ZOMBIE and CHILDREN in one.cmdline()]
