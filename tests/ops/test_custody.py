"""`firingline custody verify` on a real log and a real book, and on what somebody did to the book afterwards."""

import asyncio
import csv
import io
from datetime import timedelta
from pathlib import Path

import pypdfium2
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bus.fields import EARLIEST
from handlers.armory.events import WeaponAdded, WeaponReserved, WeaponTypeAdded
from handlers.armory.model.chain import Entry, Link
from ops.cli import main
from ops.custody_book import as_csv, from_csv
from tests.database import Database
from tests.gateway.gate import open_gate
from tests.handlers.armory.made import ANNA, BORIS, booking, terms, weapon
from tests.handlers.armory.test_chain import handed

ENTRIES = 4


@pytest.fixture
async def books(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return a database in which a rifle went out and came back twice."""
    monkeypatch.setenv("DATABASE_URL", database.settings.admin_url)
    monkeypatch.setenv("FIRINGLINE_HOME", str(database.settings.home))
    async with open_gate(database, tmp_path, services=("armory",)) as gate:
        await gate.say(
            "armory",
            WeaponTypeAdded(weapon_type="air-rifle", weapon_class="air", calibre="4.5 mm", title="Air rifle"),
            WeaponAdded(weapon=weapon(1), weapon_type="air-rifle", serial="1"),
            *(WeaponReserved(booking=booking(number), terms=terms(number)) for number in (1, 3)),
        )
        await gate.say("armory", *(handed(number) for number in range(1, ENTRIES + 1)))
    return database


async def verified(*options: str, command: tuple[str, ...] = ("custody", "verify")) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [*command, *options])


async def exported(to: Path, *options: str) -> Path:
    result = await asyncio.to_thread(CliRunner().invoke, main, ["custody", "export", "--output", str(to), *options])
    assert result.exit_code == 0, result.output
    return to


@pytest.mark.usefixtures("books")
async def test_a_whole_book_is_said_to_be_whole() -> None:
    result = await verified()
    assert result.exit_code == 0, result.output
    assert result.output == "The custody book is whole: 4 entries of 1 weapons.\n"


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        ("UPDATE armory.handover SET rounds = 7 WHERE entry = 2", "entry 2: its hash is not"),
        ("DELETE FROM armory.handover WHERE entry = 3", "entry 3: it is missing"),
        ("DELETE FROM armory.handover WHERE entry >= 3", "entry 3: it is missing, and the log tells of it"),
        (
            """
            UPDATE armory.handover AS h
            SET to_person = o.to_person, from_person = o.from_person, at = o.at, booking = o.booking, hash = o.hash
            FROM armory.handover AS o WHERE h.entry IN (1, 3) AND o.entry = 4 - h.entry
            """,
            "entry 1: its hash is not",
        ),
    ],
    ids=["changed", "taken out", "cut off", "swapped"],
)
async def test_the_first_broken_entry_is_named(books: Database, deed: str, found: str) -> None:
    superuser = await books.connect("postgres")
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute("ALTER TABLE armory.handover DROP CONSTRAINT IF EXISTS handover_weapon_previous_fkey")
    await superuser.execute(deed)
    await superuser.close()
    result = await verified()
    assert result.exit_code == 1, result.output
    assert result.output.startswith(f"weapon {weapon(1)}: {found}")
    whole = await verified(command=("verify",))
    assert whole.exit_code == 1, whole.output
    assert f"WRONG: weapon {weapon(1)}: {found}" in whole.output


@pytest.mark.usefixtures("books")
async def test_an_export_carries_the_chain_and_is_checked_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await exported(tmp_path / "book.csv")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    whole = await verified("--file", str(file))
    assert whole.output == "The custody book is whole: 4 entries of 1 weapons.\n"
    lines = file.read_text().splitlines()
    for forged, found in (
        ([*lines[:2], lines[2].replace(str(ANNA), str(BORIS)), *lines[3:]], "entry 2"),
        ([*lines[:3], *lines[4:]], "entry 3"),
        ([lines[0], *lines[2:]], "entry 1"),
    ):
        file.write_text("\n".join(forged))
        broken = await verified("--file", str(file))
        assert broken.exit_code == 1
        assert broken.output.startswith(f"weapon {weapon(1)}: {found}: ")
    for wrong, said in ((["a,b"], "no custody book"), ([lines[0], "1,2"], "Line 2 is no entry")):
        file.write_text("\n".join(wrong))
        refused = await verified("--file", str(file))
        assert refused.exit_code == 1
        assert said in refused.output


@pytest.mark.usefixtures("books")
async def test_a_book_is_printed_with_every_hash_of_its_chain(tmp_path: Path) -> None:
    table = from_csv((await exported(tmp_path / "book.csv", "--weapon", str(weapon(1)))).read_bytes())
    document = pypdfium2.PdfDocument(await exported(tmp_path / "book.pdf", "--as", "pdf"))
    words = "".join(page.get_textpage().get_text_bounded() for page in document).replace("\r\n", "")
    assert len(table[weapon(1)]) == ENTRIES
    for link in table[weapon(1)]:
        assert link.hash.hex() in words
    assert str(ANNA) in words
    document.close()
    unknown = await verified("--weapon", str(weapon(9)), command=("custody", "export"))
    assert unknown.exit_code == 1
    assert "no weapon" in unknown.output


entries = st.builds(
    Entry,
    weapon=st.uuids(),
    entry=st.integers(1, 10**6),
    kind=st.sampled_from(["issue", "return"]),
    booking=st.uuids(),
    from_person=st.uuids(),
    to_person=st.uuids(),
    rounds=st.integers(0, 10_000),
    at=st.timedeltas(timedelta(0), timedelta(days=50_000)).map(lambda since: EARLIEST + since),
    corrects=st.none() | st.integers(1, 10**6),
    reason=st.none() | st.just("wrong-weapon"),
    lot=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
)


@given(entries, st.binary(min_size=32, max_size=32))
def test_whatever_stands_in_a_book_is_read_back_from_its_export(entry: Entry, hash_: bytes) -> None:
    link = Link(entry, hash_)
    written = as_csv({entry.weapon: [link]})
    assert from_csv(written) == {entry.weapon: [link]}
    _, cells = csv.reader(io.StringIO(written.decode(), newline=""))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
