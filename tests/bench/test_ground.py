from pathlib import Path

import asyncpg
import pytest

from bench.append import PLAIN_LOG
from bench.ground import database as bench_database
from bench.ground import ground, refuse_unless_durable
from bench.machine import in_memory, machine
from bus.errors import Refusal
from ops.settings import Settings

MEMORY = Path("/dev/shm")


async def test_commits_that_a_power_cut_may_lose_are_not_measured(database):
    await refuse_unless_durable(database.settings)
    admin = await database.connect("postgres")
    await admin.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    await admin.close()
    with pytest.raises(Refusal, match="synchronous_commit"):
        await refuse_unless_durable(database.settings)


@pytest.mark.skipif(not (MEMORY.is_dir() and in_memory(MEMORY)), reason="no folder here lies in memory")
async def test_a_folder_in_memory_is_refused(tmp_path_factory):
    home = MEMORY / f"firingline-{tmp_path_factory.getbasetemp().name}-bench"
    with pytest.raises(Refusal, match="lies in memory"):
        async with ground(Settings(home=home)):
            pass
    assert not (home / "bench").exists()
    home.rmdir()


async def test_a_server_of_its_own_is_durable_and_leaves_nothing(tmp_path):
    if in_memory(tmp_path):
        pytest.skip("the folder for temporary files lies in memory")
    async with ground(Settings(home=tmp_path)) as server:
        connection = await asyncpg.connect(server.admin_url)
        settings = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
        seen_on = await machine(connection)
        await connection.close()
    assert settings == ["on", "on"]
    assert seen_on["postgresql"].startswith("18")
    assert seen_on["cores"] >= 1
    assert seen_on["commit_ms"] > 0
    assert list(tmp_path.iterdir()) == []


async def test_a_server_of_its_own_commits_as_slowly_as_is_asked(tmp_path):
    if in_memory(tmp_path):
        pytest.skip("the folder for temporary files lies in memory")
    async with ground(Settings(home=tmp_path), commit_ms=4.0) as server:
        connection = await asyncpg.connect(server.admin_url)
        seen_on = await machine(connection)
        await connection.close()
    assert seen_on["commit_delay_ms"] == 4.0
    assert seen_on["commit_ms"] >= 4.0


async def test_a_server_that_is_not_its_own_is_not_slowed_down(cluster, home):
    with pytest.raises(Refusal, match="leave out --commit-ms, or DATABASE_URL"):
        async with ground(Settings(home=home, database_url=cluster.url()), commit_ms=1.5):
            pass


async def test_a_server_in_use_is_left_alone_by_who_has_not_its_credentials(cluster, template, tmp_path):
    with pytest.raises(Refusal, match="FIRINGLINE_HOME"):
        async with ground(Settings(home=tmp_path, database_url=cluster.url(template))):
            pass


@pytest.mark.usefixtures("template")
async def test_databases_are_dropped_however_a_bench_ends(cluster, home):
    with pytest.raises(RuntimeError):
        async with (
            ground(Settings(home=home, database_url=cluster.url())) as server,
            bench_database(server, "left"),
        ):
            raise RuntimeError
    connection = await asyncpg.connect(cluster.url())
    assert await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'firingline_bench%'") == 0
    await connection.close()


async def test_the_plain_log_has_the_columns_and_indexes_of_the_real_one(database):
    admin = await database.connect("postgres")
    await admin.execute(PLAIN_LOG)

    async def shape(table: str) -> tuple[list[str], set[str]]:
        columns = await admin.fetch(
            """
            SELECT attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull AS said FROM pg_attribute
            WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """,
            table,
        )
        indexes = await admin.fetch(
            "SELECT pg_get_indexdef(indexrelid) AS said FROM pg_index WHERE indrelid = $1::regclass", table
        )
        return [row["said"] for row in columns], {row["said"].partition("USING")[2] for row in indexes}

    plain, real = await shape("plain.log"), await shape("bus.outbox_domain_0")
    await admin.close()
    assert plain == real
    assert len(plain[1]) == 3
