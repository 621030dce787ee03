"""The custody book on paper and as a table, with its chain: whoever holds a copy can check it, and check us by it."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final
from uuid import UUID

import typst

from bus.errors import Refusal
from handlers.armory.model.chain import Broken, Entry, Link, first_broken

COLUMNS: Final = (
    "weapon", "entry", "kind", "booking", "from_person", "to_person", "rounds", "at", "corrects", "reason", "lot",
    "hash",
)  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "'")  # what a spreadsheet would not take as text
TEMPLATE: Final = "custody_book.typ"

Books = Mapping[UUID, Sequence[Link]]


def as_csv(books: Books) -> bytes:
    """All entries, weapon by weapon, in order; UTF-8, one header line, times in UTC."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_text(cell) for cell in _cells(link)] for book in books.values() for link in book)
    return text.getvalue().encode()


def from_csv(content: bytes) -> dict[UUID, list[Link]]:
    """What `as_csv` wrote. Raises Refusal with the line that is no entry."""
    reader = csv.reader(io.StringIO(content.decode(errors="replace"), newline=""))
    if tuple(next(reader, ())) != COLUMNS:
        raise Refusal("This is no custody book: its first line must name the columns as the export does.")
    books: dict[UUID, list[Link]] = {}
    for line, cells in enumerate(reader, start=2):
        try:
            link = _link([_plain(cell) for cell in cells])
        except ValueError as error:
            raise Refusal(f"Line {line} is no entry of a custody book: {error}.") from error
        books.setdefault(link.entry.weapon, []).append(link)
    return books


def as_pdf(books: Books, titles: Mapping[UUID, str], at: datetime) -> bytes:
    """A book a weapon, on pages of its own, with the hash of every entry. The same books give the same bytes."""
    document = {
        "made_at": f"{at:%Y-%m-%d %H:%M} UTC",
        "books": [
            {
                "weapon": str(weapon),
                "title": titles.get(weapon, ""),
                "head": book[-1].hash.hex() if book else "",
                "entries": [dict(zip(COLUMNS, _cells(link), strict=True)) for link in book],
            }
            for weapon, book in books.items()
        ],
    }
    compiled = typst.compile(
        files("ops").joinpath(TEMPLATE).read_bytes(),
        format="pdf",
        sys_inputs={"document": json.dumps(document)},
        ignore_system_fonts=True,
        timestamp=at.replace(microsecond=0),
    )
    assert isinstance(compiled, bytes)
    return compiled


def broken_in(books: Books) -> list[tuple[UUID, Broken]]:
    """The first broken entry of each book that is not whole in itself."""
    return [(weapon, why) for weapon, book in books.items() if (why := first_broken(book)) is not None]


def _cells(link: Link) -> list[str]:
    entry = link.entry
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = (
        entry.weapon, entry.entry, entry.kind, entry.booking, entry.from_person, entry.to_person, entry.rounds, at,
        entry.corrects, entry.reason, entry.lot, link.hash.hex(),
    )  # fmt: skip
    return ["" if one is None else str(one) for one in said]


def _link(cells: Sequence[str]) -> Link:
    weapon, number, kind, booking, giver, taker, rounds, at, corrects, reason, lot, hash_ = cells
    if kind not in {"issue", "return"}:
        raise ValueError(f"{kind!r} is neither issue nor return")
    entry = Entry(
        weapon=UUID(weapon),
        entry=int(number),
        kind="issue" if kind == "issue" else "return",
        booking=UUID(booking),
        from_person=UUID(giver),
        to_person=UUID(taker),
        rounds=int(rounds),
        at=datetime.fromisoformat(at),
        corrects=int(corrects) if corrects else None,
        reason=reason or None,
        lot=lot or None,
    )
    return Link(entry, bytes.fromhex(hash_))


def _text(cell: str) -> str:
    """A cell that a spreadsheet takes as text, whatever it begins with."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _plain(cell: str) -> str:
    return cell.removeprefix("'") if cell[1:].startswith(FORMULA) else cell
