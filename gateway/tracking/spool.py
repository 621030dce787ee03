"""What was heard and is not in the log yet: all of it in the journal, and as much as fits in memory, in one order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bus.backoff import full_jitter
from gateway.tracking.journal import Entry, Journal, JournalFull, Place
from gateway.tracking.shots import Sighted

IN_MEMORY: Final = (
    5000  # shots, or frames if fewer than one of each tells of a shot; what comes beyond is read back from the journal
)
FULL_LONGEST_S: Final = 2.0

Decode = Callable[[Entry], Sequence[Sighted]]
"""The shots in an entry, as they were understood when it came."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes as they came, and the shots in them; none in a frame that could not be read."""

    entry: Entry
    shots: Sequence[Sighted]


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many shots are new in the log, and how many were there already."""

    recorded: int
    repeated: int


@dataclass(slots=True)
class Item:
    """A part that is kept, on its way into the log. `answer` is for who waits for what becomes of it."""

    part: Part
    place: Place
    answer: asyncio.Future[Recorded] | None = None

    def tell(self, told: Recorded) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(told)

    def fail(self, error: Exception) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True)
class _Coming:
    parts: Sequence[Part]
    answered: bool
    kept: asyncio.Future[list[Item]]


class Spool:
    """Keeps parts in the order they come, and gives them out in that order; one reader takes them."""

    def __init__(self, journal: Journal, decode: Decode) -> None:
        self.journal = journal
        self._decode = decode
        self._coming: list[_Coming] = []
        self._keeping: asyncio.Task[None] | None = None
        self._items: deque[Item] = deque()
        self._shots = 0
        self._awaited: dict[Place, asyncio.Future[Recorded]] = {}  # of what is on the disk only
        self._under_way = 0
        self._came = asyncio.Event()
        self._emptied = asyncio.Event()

    async def keep(self, parts: Sequence[Part], *, answered: bool = False) -> list[Item]:
        """Returns once these are on the disk, together with what else came meanwhile.

        `answered`: each item gets an answer once it is recorded; who does not wait for it any more cancels it.
        Raises JournalFull or OSError if they cannot be kept: then nothing becomes of them.
        """
        if not parts:
            return []
        coming = _Coming(parts, answered, asyncio.get_running_loop().create_future())
        self._coming.append(coming)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_all())
        return await coming.kept

    async def keep_however_long(self, parts: Sequence[Part], waits: Callable[[Exception], None]) -> None:
        """The same for who can wait: tries again until there is room."""
        failures = 0
        while True:
            try:
                await self.keep(parts)
            except (JournalFull, OSError) as error:
                failures += 1
                waits(error)
                await asyncio.sleep(full_jitter(failures, longest_s=FULL_LONGEST_S))
            else:
                return

    async def next(self, most: int) -> list[Item]:
        """What comes next, about so many shots of it; waits while there is nothing."""
        while True:
            if items := self._from_memory(most):
                break
            if self.journal.unread:
                if items := await self._from_disk(most):
                    break
                continue
            self._came.clear()
            self._emptied.set()
            await self._came.wait()
        self._under_way += len(items)
        return items

    def done(self, items: Sequence[Item]) -> None:
        """These are in the log, or will never be."""
        self.journal.drained({item.place.segment: item.place.entry + 1 for item in items})
        self._under_way -= len(items)

    def look_again(self) -> None:
        """There may be something to read."""
        self._came.set()

    async def emptied(self) -> None:
        """Waits until nothing that was kept is left to be recorded."""
        while self._items or self._under_way or self.journal.unread or self._keeping:
            self._emptied.clear()
            await self._emptied.wait()

    def _from_memory(self, most: int) -> list[Item]:
        taken: list[Item] = []
        shots = 0
        while self._items and len(taken) < most and (not taken or shots + len(self._items[0].part.shots) <= most):
            taken.append(self._items.popleft())
            shots += len(taken[-1].part.shots)
        self._shots -= shots
        return taken

    async def _from_disk(self, most: int) -> list[Item]:
        found = await asyncio.to_thread(self.journal.read, most)
        return [Item(Part(entry, self._decode(entry)), place, self._awaited.pop(place, None)) for place, entry in found]

    async def _keep_all(self) -> None:
        while self._coming:
            together, self._coming = self._coming, []
            entries = [part.entry for coming in together for part in coming.parts]
            try:
                places = await asyncio.to_thread(self.journal.keep, entries)
            except Exception as error:  # noqa: BLE001 - who wanted it kept is told
                for coming in together:
                    if not coming.kept.done():
                        coming.kept.set_exception(error)
                continue
            self._hand_on(together, places)
        self._keeping = None
        self._emptied.set()

    def _hand_on(self, together: Sequence[_Coming], places: Sequence[Place]) -> None:
        in_memory = max(self._shots, len(self._items)) < IN_MEMORY and not self.journal.unread
        self.journal.hand_on(places, taken=in_memory)
        at = iter(places)
        for coming in together:
            items = [Item(part, next(at), _answer(coming)) for part in coming.parts]
            if in_memory:
                self._items += items
                self._shots += sum(len(item.part.shots) for item in items)
            else:
                for item in items:
                    if item.answer is not None:
                        self._awaited[item.place] = item.answer
                        item.answer.add_done_callback(partial(self._forget, item.place))
            if not coming.kept.done():
                coming.kept.set_result(items)
        self._came.set()

    def _forget(self, place: Place, _: object) -> None:
        """Nobody waits for it any more."""
        self._awaited.pop(place, None)


def _answer(coming: _Coming) -> asyncio.Future[Recorded] | None:
    return asyncio.get_running_loop().create_future() if coming.answered else None
