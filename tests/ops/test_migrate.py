import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from bus.errors import Refusal
from bus.group_commit import key_of
from bus.identity import uuid7
from ops.cli import main
from ops.credentials import Credential, load_or_make
from ops.migrate import ROOT, bring_up_to_date, migrations
from ops.postgres import Cluster, free_port
from ops.unprivileged import INSTALLED, PROGRAMS

numbers = itertools.count(1)

FIRST = """
BEGIN;
CREATE SCHEMA bus;
CREATE TABLE bus.migration (
    number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE bus.lane (number integer);
COMMIT;
"""
FIRST_ID = uuid7()
SECOND = "ALTER TABLE bus.lane ADD COLUMN width_m integer;"


@pytest.fixture
async def url(cluster: Cluster) -> AsyncIterator[str]:
    """Make an empty database."""
    name = f"empty_{next(numbers)}"
    admin = await asyncpg.connect(cluster.url())
    await admin.execute(f"CREATE DATABASE {name}")
    yield cluster.url(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def credentials(home: Path) -> dict[str, Credential]:
    return load_or_make(home)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a project of two versions, of which the first is there."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "schema.sql").write_text(FIRST)
    (tmp_path / "migrations" / "0001_first_version.sql").write_text(FIRST)
    return tmp_path


def next_version(root: Path, step: str = SECOND) -> None:
    (root / "schema.sql").write_text(FIRST.replace("(number integer)", "(number integer, width_m integer)"))
    (root / "migrations" / "0002_lanes_have_a_width.sql").write_text(step)


async def columns(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'bus.lane'::regclass AND attnum > 0"
    )
    await connection.close()
    return [row["attname"] for row in found]


def dump(url: str) -> str:
    return subprocess.run(
        [INSTALLED / PROGRAMS / "pg_dump", "--schema-only", "--restrict-key=same", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


async def test_the_first_version_with_all_migrations_equals_the_schema(
    cluster: Cluster, template: str, url: str, credentials: dict[str, Credential]
) -> None:
    applied = await bring_up_to_date(url, credentials, from_migrations=True)
    assert applied == migrations()
    assert len(applied) >= 1
    assert dump(url) == dump(cluster.url(template))
    assert "CREATE TABLE bus.outbox" in dump(url)


async def test_cartridges_and_loans_of_the_time_before_lots_are_kept(
    url: str, credentials: dict[str, Credential], tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()
    for step in sorted((ROOT / "migrations").glob("000[1-4]_*.sql")):
        (tmp_path / "migrations" / step.name).write_text(step.read_text())
    await bring_up_to_date(url, credentials, root=tmp_path)
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        INSERT INTO armory.weapon_type (weapon_type, weapon_class, calibre, title, units)
        VALUES ('rifle', 'air', '4.5 mm', 'Rifle', 1);
        INSERT INTO armory.weapon (weapon, weapon_type, serial, rounds_fired, rounds_since_service)
        VALUES (uuidv7(), 'rifle', '1', 25, 25);
        INSERT INTO armory.ammunition (calibre, rounds) VALUES ('4.5 mm', 60);
        INSERT INTO armory.reservation (booking, person, range, weapon_type, during, released)
        SELECT weapon, weapon, 'club', 'rifle', '[2026-01-01, 2026-01-02)', false FROM armory.weapon;
        INSERT INTO armory.handover (weapon, entry, kind, booking, from_person, to_person, rounds, at, hash)
        SELECT weapon, 1, 'issue', weapon, weapon, uuidv7(), 40, now(), sha256('') FROM armory.weapon;
        INSERT INTO armory.loan (weapon, entry, booking, holder, issued_by, issued_at, rounds_issued, returned_at,
                                 taken_by, rounds_returned, rounds_fired)
        SELECT weapon, 1, weapon, weapon, weapon, now(), 40, now(), weapon, 15, 25 FROM armory.weapon;
        """
    )
    assert len(await bring_up_to_date(url, credentials)) == len(migrations()) - 4
    assert [tuple(row) for row in await connection.fetch("SELECT calibre, lot, rounds FROM armory.lot")] == [
        ("4.5 mm", "unnumbered", 60)
    ]
    assert await connection.fetchval("SELECT rounds_written_off FROM armory.loan") == 0
    await connection.close()


async def test_an_empty_database_gets_the_schema_and_no_migration_afterwards(
    url: str, root: Path, credentials: dict[str, Credential]
) -> None:
    next_version(root)
    assert [step.number for step in await bring_up_to_date(url, credentials, root=root)] == [1, 2]
    assert await columns(url) == ["number", "width_m"]
    assert await bring_up_to_date(url, credentials, root=root) == []


async def test_data_of_one_version_survives_the_next(url: str, root: Path, credentials: dict[str, Credential]) -> None:
    await bring_up_to_date(url, credentials, root=root)
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO bus.lane VALUES (3)")
    next_version(root)
    assert [step.name for step in await bring_up_to_date(url, credentials, root=root)] == ["lanes_have_a_width"]
    assert await connection.fetchval("SELECT number FROM bus.lane WHERE width_m IS NULL") == 3
    await connection.close()


async def test_a_key_that_the_first_version_accepted_is_known_to_this_one(
    url: str, root: Path, credentials: dict[str, Credential]
) -> None:
    """Whoever asks again after an upgrade gets the first answer: migration 7 keeps the digests of the keys."""
    for old in (root / "schema.sql", *(root / "migrations").iterdir()):
        old.unlink()
    for step in migrations():
        (root / "migrations" / f"{step.number:04}_{step.name}.sql").write_text(step.script)
        if step.number == 1:
            await bring_up_to_date(url, credentials, root=root)
            connection = await asyncpg.connect(url)
            await connection.execute(
                "INSERT INTO bus.accepted (scope, key, hash, id, actor, name, at) "
                "VALUES ('person:x POST /v1/bookings', 'my key', 'h', $1, 'person:x', 'booking.book-session', now())",
                FIRST_ID,
            )
    await bring_up_to_date(url, credentials, root=root)
    rows = await connection.fetch("SELECT key, id, hash, actor FROM bus.accepted")
    await connection.close()
    assert [tuple(row) for row in rows] == [
        (key_of("person:x POST /v1/bookings", "my key"), FIRST_ID, b"h", "person:x")
    ]


async def test_a_migration_that_fails_leaves_nothing_behind(
    url: str, root: Path, credentials: dict[str, Credential]
) -> None:
    await bring_up_to_date(url, credentials, root=root)
    next_version(root, SECOND + "SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await bring_up_to_date(url, credentials, root=root)
    assert await columns(url) == ["number"]
    next_version(root)
    assert len(await bring_up_to_date(url, credentials, root=root)) == 1


async def test_however_many_ask_at_once_each_step_is_done_once(
    url: str, root: Path, credentials: dict[str, Credential]
) -> None:
    next_version(root)
    applied = await asyncio.gather(*(bring_up_to_date(url, credentials, root=root) for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 2]


async def test_a_migration_waits_for_a_lock_in_turns_so_that_others_get_theirs(
    url: str, root: Path, credentials: dict[str, Credential], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.migrate.LOCK_TIMEOUT_S", 0.1)
    await bring_up_to_date(url, credentials, root=root)
    next_version(root)
    reader, other = await asyncpg.connect(url), await asyncpg.connect(url)
    await reader.execute("BEGIN; SELECT * FROM bus.lane")
    migrating = asyncio.create_task(bring_up_to_date(url, credentials, root=root))
    async with asyncio.timeout(20):
        while not await other.fetchval(
            "SELECT true FROM pg_locks WHERE NOT granted AND relation = 'bus.lane'::regclass"
        ):
            assert not migrating.done()
        await other.fetch("SELECT * FROM bus.lane")  # waits behind the migration, until that gives way
        assert not migrating.done()
        await reader.execute("COMMIT")
        assert len(await migrating) == 1
    await reader.close()
    await other.close()


async def test_a_newer_schema_is_refused(url: str, root: Path, credentials: dict[str, Credential]) -> None:
    next_version(root)
    await bring_up_to_date(url, credentials, root=root)
    (root / "migrations" / "0002_lanes_have_a_width.sql").unlink()
    with pytest.raises(Refusal, match="has migration 2, this version of Firingline knows 1: start the newer version"):
        await bring_up_to_date(url, credentials, root=root)


async def test_a_database_of_something_else_is_refused(
    url: str, root: Path, credentials: dict[str, Credential]
) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE holiday ()")
    await connection.close()
    with pytest.raises(Refusal, match=r"is not empty \(public.holiday\) and not Firingline's"):
        await bring_up_to_date(url, credentials, root=root)


async def test_an_old_server_is_refused(
    url: str, root: Path, credentials: dict[str, Credential], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.migrate.OLDEST_POSTGRESQL", 19)
    with pytest.raises(Refusal, match="needs PostgreSQL 19 or later, and this server is 18"):
        await bring_up_to_date(url, credentials, root=root)


async def test_a_user_who_may_not_change_the_schema_is_refused(
    cluster: Cluster, url: str, root: Path, credentials: dict[str, Credential], template: str
) -> None:
    assert template, "the roles are there"
    name, password = "firingline_booking", credentials["booking"].password
    other = cluster.url(url.rpartition("/")[2], user=name, password=password)
    with pytest.raises(Refusal, match="The user in DATABASE_URL may not do what this takes: permission denied"):
        await bring_up_to_date(other, credentials, root=root)


@pytest.mark.parametrize(
    ("sqlstate", "sentence"),
    [
        ("53100", "The disk of the database server is full"),
        ("57P01", "The database server went away"),
    ],
)
async def test_what_goes_wrong_with_the_server_is_one_sentence(
    url: str, root: Path, credentials: dict[str, Credential], sqlstate: str, sentence: str
) -> None:
    (root / "schema.sql").write_text(f"DO $$ BEGIN RAISE 'planted' USING ERRCODE = '{sqlstate}'; END $$;")
    with pytest.raises(Refusal, match=sentence):
        await bring_up_to_date(url, credentials, root=root)


@pytest.mark.parametrize("name", ["0003_gap.sql", "two.sql"])
async def test_migrations_are_numbered_without_a_gap(root: Path, name: str) -> None:
    (root / "migrations" / name).touch()
    with pytest.raises(Refusal, match=r"named like|without a gap"):
        migrations(root)


async def test_no_password_is_sent_to_the_server(
    url: str, root: Path, credentials: dict[str, Credential], cluster: Cluster
) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET log_statement = 'all'")
    await connection.execute("SELECT pg_reload_conf()")
    await bring_up_to_date(url, credentials, root=root)
    await connection.execute("ALTER SYSTEM RESET log_statement")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    said = cluster.log.read_text()
    assert "ALTER ROLE firingline_booking" in said
    assert not any(each.password in said for each in credentials.values())


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://postgres@127.0.0.1:{free}/range", "cannot be reached"),
        ("postgresql://postgres:guess@127.0.0.1:{port}/postgres", "does not let us in"),
        ("{url}_not_there", "has no such database"),
        ("mysql://127.0.0.1/range", "is not an address of a PostgreSQL database"),
    ],
)
def test_a_server_that_is_not_there_is_one_sentence(
    cluster: Cluster, tmp_path: Path, address: str, sentence: str
) -> None:
    url = address.format(free=free_port(), port=cluster.port, url=cluster.url())
    outcome = CliRunner().invoke(main, ["migrate"], env={"DATABASE_URL": url, "FIRINGLINE_HOME": str(tmp_path)})
    assert outcome.exit_code == 1
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert "superuser of a test" not in outcome.stderr
