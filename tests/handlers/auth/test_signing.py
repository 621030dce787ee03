import asyncio
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from bus.connection import close_pool, connect_pool
from bus.errors import Later, Refusal
from bus.tokens import TokenRefused, UserClaims, Verifier
from handlers.auth import views
from handlers.auth.issuing import user_token
from handlers.auth.signing import Signer, change_key, open_signer
from tests.database import Database
from tests.handlers.auth.counter import Counter

SERVICES = ("auth", "booking", "armory", "payment", "stats", "gateway", "analyst", "operator")


def look_at(file: Path) -> tuple[int, int, list[str]]:
    """Its mode, its length, and what lies in its folder."""
    mode = stat.S_IMODE(file.stat().st_mode)
    return mode, len(bytes.fromhex(file.read_text())), [path.name for path in file.parent.iterdir()]


def replace_by(content: str, mode: int, file: Path) -> None:
    file.write_text(content)
    file.chmod(mode)


async def test_the_first_start_makes_a_master_key_that_only_its_owner_reads(
    counter: Counter, master_key_file: Path
) -> None:
    await counter.register()
    assert look_at(master_key_file) == (0o600, 32, [master_key_file.name])


async def test_many_first_starts_at_once_make_one_key(database: Database, master_key_file: Path) -> None:
    pool = await connect_pool(database.url("auth"), "auth", most=6)
    signers = await asyncio.gather(*(open_signer(pool, master_key_file) for _ in range(6)))
    async with pool.acquire() as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
        assert len(await views.public_keys(connection)) == 1
    assert len({signer.key_at(at).kid for signer in signers}) == 1
    await close_pool(pool)


async def test_without_the_master_key_a_used_database_is_not_begun_anew(
    counter: Counter, master_key_file: Path
) -> None:
    elsewhere = master_key_file.with_name("elsewhere.key")
    for _ in range(2):  # the first try leaves nothing behind that the second takes for the key
        with pytest.raises(Refusal, match="bring it back"):
            await open_signer(counter.pool, elsewhere)
    await open_signer(counter.pool, master_key_file)


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        ("00" * 32, 0o600, "not the one this database was sealed with"),
        ("00" * 32, 0o640, "can be read by others"),
        ("00" * 16, 0o600, "has 16 bytes"),
        ("no key", 0o600, "no master key"),
    ],
)
async def test_another_master_key_is_refused_in_a_sentence(
    counter: Counter, master_key_file: Path, content: str, mode: int, sentence: str
) -> None:
    replace_by(content, mode, master_key_file)
    with pytest.raises(Refusal, match=sentence):
        await open_signer(counter.pool, master_key_file)


@pytest.mark.parametrize("role", SERVICES)
async def test_every_role_reads_the_public_keys_and_nothing_else_of_a_key(counter: Counter, role: str) -> None:
    connection = await counter.database.connect(role)
    keys = await views.public_keys(connection)
    columns = await counter.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'auth' AND table_name = 'public_keys'"
    )
    await connection.close()
    assert len(keys) == 1
    assert {row["column_name"] for row in columns} == {"kid", "public_key", "not_before", "retired_at"}


async def test_with_auth_away_tokens_are_verified_from_the_database(counter: Counter) -> None:
    await counter.register()
    token = await counter.token_of("anna@example.org")
    connection = await counter.database.connect("gateway")
    verifier = Verifier(await views.public_keys(connection))
    await connection.close()
    assert verifier.verify(token, UserClaims).roles == ("shooter",)


async def test_a_new_key_is_known_before_it_signs_and_the_old_stays_known(counter: Counter) -> None:
    await counter.register()
    before = await counter.token_of("anna@example.org")
    async with counter.pool.acquire() as connection:
        new = await change_key(connection, counter.signer.vault, timedelta(minutes=10))
        await counter.signer.load(connection)
        at = await connection.fetchval("SELECT clock_timestamp()")
        keys = await views.public_keys(connection)
    assert [key.kid for key in keys][-1] == new
    assert counter.signer.key_at(at).kid != new
    later = at + timedelta(minutes=10)
    assert counter.signer.key_at(later).kid == new
    person = counter.claims(before).person
    after = user_token(counter.signer.key_at(later), person, ["shooter"], later)
    then = Verifier(keys, clock=later.timestamp)
    assert then.verify(after, UserClaims).person == person
    assert Verifier(keys).verify(before, UserClaims).person == person
    forged = user_token(counter.signer.key_at(at), person, ["admin"], later + timedelta(minutes=1))
    with pytest.raises(TokenRefused):
        then.verify(forged, UserClaims)


async def test_a_signer_signs_by_the_keys_it_has_loaded(counter: Counter) -> None:
    async with counter.pool.acquire() as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
        new = await change_key(connection, counter.signer.vault, timedelta())
        later = await connection.fetchval("SELECT clock_timestamp()")
        with pytest.raises(Later):
            Signer(counter.signer.vault).key_at(at)
        assert counter.signer.key_at(later).kid != new
        await counter.signer.load(connection)
        assert counter.signer.key_at(later).kid == new


async def test_of_two_changes_at_once_one_makes_the_key(counter: Counter) -> None:
    async def change() -> str:
        async with counter.pool.acquire() as connection:
            return await change_key(connection, counter.signer.vault)

    kids = await asyncio.gather(*(change() for _ in range(4)))
    async with counter.pool.acquire() as connection:
        keys = await views.public_keys(connection)
    assert sum(key.retired_at is None for key in keys) == 1
    assert set(kids) <= {key.kid for key in keys}


async def test_the_private_half_is_sealed(counter: Counter) -> None:
    async with counter.pool.acquire() as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
    private = counter.signer.key_at(at).private.private_bytes_raw()
    rows = await counter.fetch("SELECT sealed_private FROM auth.signing_key")
    assert private not in rows[0]["sealed_private"]
