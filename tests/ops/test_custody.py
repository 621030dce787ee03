"""`firingline custody verify` on a real log and a real book, and on what somebody did to the book afterwards."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handlers.armory.events import WeaponAdded, WeaponReserved, WeaponTypeAdded
from ops.cli import main
from tests.database import Database
from tests.gateway.gate import open_gate
from tests.handlers.armory.made import booking, terms, weapon
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


async def verified() -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["custody", "verify"])


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
