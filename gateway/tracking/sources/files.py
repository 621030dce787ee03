"""Files that grow by a row a shot: read from the top at each start, and then as they grow.

What is read again counts once. A row is taken when its line end is there, or when it has stood without one for a while.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.tracking.address import Source
from gateway.tracking.hearing import Hearing
from gateway.tracking.makers import sius
from gateway.tracking.makers.columns import TARGETSCAN, Mapped, Row, header_of
from gateway.tracking.sources.reconnecting import over_and_over
from gateway.tracking.ways import CSV, SIUS

LOOK_EVERY_S: Final = 0.25
CHUNK_BYTES: Final = 256 * 1024
LONGEST_ROW: Final = 8192
UNENDED_LOOKS: Final = 8  # a last row without its line end is whole after so many looks at no change


Take = Callable[..., Awaitable[None]]
Same = Callable[[], bool]


@dataclass(slots=True)
class Lines:
    """Rows of one file, as they come."""

    _kept: bytearray = field(default_factory=bytearray)
    _skipping: bool = False
    _unchanged: int = 0
    _early: bytes = b""  # a last row that was given out before its end came

    def feed(self, chunk: bytes) -> list[bytes]:
        """The rows that are whole now; a row longer than any is passed over up to its end."""
        if not chunk:
            self._unchanged += 1
            if self._unchanged != UNENDED_LOOKS or not self._kept or self._skipping:
                return []
            self._early = bytes(self._kept)
            return [self._early]  # should more of it come than its end, it comes again
        self._unchanged = 0
        *rows, last = bytes(self._kept + chunk).split(b"\n")
        if self._skipping and rows:
            rows, self._skipping = rows[1:], False
        if rows:
            if self._early and rows[0].rstrip() == self._early.rstrip():
                rows = rows[1:]  # its end has come, and nothing more
            self._early = b""
        self._kept = bytearray(b"" if self._skipping else last)
        if len(self._kept) > LONGEST_ROW:
            self._kept, self._skipping = bytearray(), True
        return [row for row in rows if row.strip() and len(row) <= LONGEST_ROW]


class Files:
    """Reads a folder of SIUSData's, or one file of any program's with a mapping."""

    def __init__(self, source: Source, hearing: Hearing, mappings: Path) -> None:
        self._source = source
        self.hearing = hearing
        self._mappings = mappings
        self.connected = False

    async def run(self) -> None:
        follow = self._follow_days if self._source.scheme == "sius" else self._follow_file
        await over_and_over(f"{self._source.scheme} in {self._source.path}", follow, (OSError, ValueError))

    async def _follow_days(self) -> bool:
        """The newest day's file, until there is a newer one."""
        folder = Path(self._source.path)
        path = await asyncio.to_thread(_newest_day, folder)
        if path is None:
            raise FileNotFoundError(f"no file of shots in {folder}")
        context = f"{path.name}|{self._source.option('zone')}"
        lines = Lines()

        async def take(chunk: bytes, *, live: bool) -> None:
            for row in lines.feed(chunk):
                await self.hearing.heard(SIUS, row, context, live=live)

        return await self._follow(path, take, lambda: _newest_day(folder) == path)

    async def _follow_file(self) -> bool:
        path = Path(self._source.path)
        mapped = await asyncio.to_thread(mapping, self._source.option("mapping"), self._mappings)
        lines, table = Lines(), Table(mapped, self._source.option("zone"))

        async def take(chunk: bytes, *, live: bool) -> None:
            for row in lines.feed(chunk):
                context = table.context(row)
                if context is not None:
                    await self.hearing.heard(CSV, row, context, live=live)

        return await self._follow(path, take, path.exists)

    async def _follow(self, path: Path, take: Take, same: Same) -> bool:
        """Reads on until the file is another or shorter; whether anything was read."""
        with await asyncio.to_thread(path.open, "rb", 0) as file:
            self.connected = True
            self.hearing.connected()
            at, live = 0, False
            try:
                while True:
                    chunk = await asyncio.to_thread(file.read, CHUNK_BYTES) or b""
                    at += len(chunk)
                    await take(chunk, live=live)
                    if chunk:
                        continue
                    live = True  # what was there already is past
                    if not await asyncio.to_thread(same) or os.fstat(file.fileno()).st_size < at:
                        return at > 0
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                self.connected = False


class Table:
    """Rows under a header: what each needs to be read again."""

    def __init__(self, mapped: Mapped, zone: str = "", export: str = "") -> None:
        self._mapped = mapped
        self._zone = zone
        self._export = export
        self._header: tuple[str, ...] | None = None
        self._epoch = ""
        self._at = 0

    def context(self, row: bytes) -> str | None:
        """A Row for this one; None for the header and what stands above it."""
        header = header_of(self._mapped, row)
        if header is not None:
            self._header, self._at = tuple(header), 0
            self._epoch = self._export or f"csv:{sha256(row.strip()).hexdigest()[:16]}"
            return None
        if self._header is None:
            return None
        self._at += 1
        return Row(
            mapped=self._mapped, header=self._header, epoch=self._epoch, at=self._at, zone=self._zone
        ).model_dump_json()


def mapping(name: str, folder: Path) -> Mapped:
    """A mapping by its name. Raises OSError or ValueError if there is none."""
    return TARGETSCAN if name == "targetscan" else Mapped.model_validate_json((folder / f"{name}.json").read_bytes())


def _newest_day(folder: Path) -> Path | None:
    return max(
        (path for path in folder.iterdir() if sius.is_shots(path.name)), default=None, key=lambda path: path.name
    )
