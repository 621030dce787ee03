"""`firingline keys`: a change is listed at once, signs later, and takes nothing from what was signed before."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ops.cli import main
from ops.worker import MASTER_KEY_FILE
from tests.database import Database
from tests.handlers.auth.counter import open_counter


async def keys(database: Database, monkeypatch: pytest.MonkeyPatch, what: str) -> Result:
    monkeypatch.setenv("DATABASE_URL", database.settings.admin_url)
    monkeypatch.setenv("FIRINGLINE_HOME", str(database.settings.home))
    return await asyncio.to_thread(CliRunner().invoke, main, ["keys", what])


@pytest.fixture
def master_key_file(database: Database) -> Path:
    """Return where the command looks for the master key; the run's home is shared, and so is its key."""
    return database.settings.home / "credentials" / MASTER_KEY_FILE


async def test_a_changed_key_is_listed_and_signs_later(
    database: Database, master_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_counter(database, master_key_file) as counter:
        await counter.register()
        token = await counter.token_of("anna@example.org")
        before = await keys(database, monkeypatch, "list")
        assert before.exit_code == 0, before.output
        assert before.output.count("until further notice") == before.output.count("\n") == 1
        changed = await keys(database, monkeypatch, "change")
        assert changed.exit_code == 0, changed.output
        after = await keys(database, monkeypatch, "list")
        assert after.output.count("\n") == 2
        assert after.output.splitlines()[1].startswith(changed.output.split()[0])
        async with counter.pool.acquire() as connection:
            await counter.signer.load(connection)
        told = counter.claims(token)
        assert counter.claims(await counter.token_of("anna@example.org")).person == told.person, "it signs until then"


async def test_without_the_master_key_nothing_is_changed(
    database: Database, master_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.keys.MASTER_KEY_FILE", "not-there.key")
    refused = await keys(database, monkeypatch, "change")
    assert refused.exit_code == 1
    assert "is gone" in refused.output
    assert not master_key_file.with_name("not-there.key").exists()
