"""`firingline custody` says whether the custody book is what was written into it, and hands out copies of it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple
from uuid import UUID

import asyncpg
import click

from bus.clock import now
from bus.errors import Refusal
from handlers.armory.events import HandoverCorrected, WeaponIssued, WeaponReturned
from handlers.armory.model.chain import Broken, Entry, Handed, Link, first_broken, first_untold
from ops.custody_book import as_csv, as_pdf, broken_in, from_csv
from ops.database import connected
from ops.settings import Settings

HANDED: Final[dict[str, type[Handed]]] = {one.name: one for one in (WeaponIssued, WeaponReturned, HandoverCorrected)}


class Finding(NamedTuple):
    """How many weapons and entries were looked at, and each book that is broken."""

    weapons: int
    entries: int
    broken: list[tuple[UUID, Broken]]


@click.group()
def custody() -> None:
    """Look after the custody book."""


@custody.command()
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV export, instead.")
def verify(file: Path | None) -> None:
    """Check every weapon's custody book: its hashes, and that it says what the log says.

    An entry that was changed, swapped, taken out or added by another way than an event is found, and so is an end
    that was cut off. The exit code is 1 if a book is broken; the first broken entry of each is named. Of an export
    only the hashes can be checked, wherever it is; that its end was cut off, its last hash tells beside ours.
    """
    found = asyncio.run(check(Settings.from_environment().admin_url)) if file is None else of_file(file)
    for weapon, broken in found.broken:
        click.echo(f"weapon {weapon}: entry {broken.entry}: {broken.why}")
    if found.broken:
        raise Refusal(f"The custody book is broken at {len(found.broken)} of {found.weapons} weapons.")
    click.echo(f"The custody book is whole: {found.entries:,} entries of {found.weapons:,} weapons.")


@custody.command()
@click.option("--as", "form", type=click.Choice(["csv", "pdf"]), default="csv", show_default=True)
@click.option("--weapon", type=click.UUID, help="Only this weapon's book.")
@click.option("--output", type=click.File("wb"), default="-", help="Where to; standard output, if it is left out.")
def export(form: str, weapon: UUID | None, output: IO[bytes]) -> None:
    """Write the custody books, with the hash of every entry: as a table, or on paper."""
    books, titles = asyncio.run(read(Settings.from_environment().admin_url, weapon))
    if weapon is not None and weapon not in titles:
        raise Refusal(f"There is no weapon {weapon} in the register.")
    output.write(as_csv(books) if form == "csv" else as_pdf(books, titles, now()))


def of_file(file: Path) -> Finding:
    """Check an export by its own hashes."""
    books = from_csv(file.read_bytes())
    return Finding(len(books), sum(len(book) for book in books.values()), broken_in(books))


async def read(url: str, weapon: UUID | None) -> tuple[dict[UUID, list[Link]], dict[UUID, str]]:
    """Return the books of one weapon or of all, and what each weapon is called, as of one moment."""
    async with connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        books = await _books(connection)
        rows = await connection.fetch(
            """
            SELECT w.weapon, t.title || ', ' || w.serial AS title
            FROM armory.weapon AS w JOIN armory.weapon_type AS t USING (weapon_type)
            WHERE $1::uuid IS NULL OR w.weapon = $1
            ORDER BY t.title, w.serial
            """,
            weapon,
        )
    titles = {row["weapon"]: row["title"] for row in rows}
    return {one: books[one] for one in titles}, titles


async def check(url: str) -> Finding:
    """Compare all books with themselves and with the log, as of one moment."""
    async with connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        books, told = await _books(connection), await _told(connection)
    weapons = sorted({*books, *told})
    broken = [(weapon, why) for weapon in weapons if (why := _first(books[weapon], told[weapon]))]
    return Finding(len(weapons), sum(len(book) for book in books.values()), broken)


def _first(book: Sequence[Link], told: Sequence[Handed]) -> Broken | None:
    """The earlier of the two ways in which a book may be broken; its own hash says more than the log."""
    found = [one for one in (first_broken(book), first_untold(book, told)) if one is not None]
    return min(found, key=lambda one: one.entry, default=None)


async def _books(connection: asyncpg.Connection) -> defaultdict[UUID, list[Link]]:
    books: defaultdict[UUID, list[Link]] = defaultdict(list)
    rows = await connection.fetch(
        """
        SELECT weapon, entry, kind, booking, from_person, to_person, rounds, at, corrects, reason, lot, hash
        FROM armory.handover ORDER BY weapon, entry
        """
    )
    for *said, hash_ in rows:
        books[said[0]].append(Link(Entry(*said), hash_))
    return books


async def _told(connection: asyncpg.Connection) -> defaultdict[UUID, list[Handed]]:
    """What the log tells; each event was appended in the transaction that entered it, so one snapshot has both."""
    told: defaultdict[UUID, list[Handed]] = defaultdict(list)
    rows = await connection.fetch(
        """
        SELECT name, schema, body FROM bus.outbox WHERE name = ANY ($1) ORDER BY position
        """,
        list(HANDED),
    )
    for name, schema, body in rows:
        event = HANDED[name].read(schema, body)
        told[event.weapon].append(event)
    return told
