"""`firingline replay --format parquet`: a folder a day, every message once, and read as the documents read it."""

import asyncio
import json
import re
import runpy
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow.dataset
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from bus import replay as replaying
from ops import parquet
from ops.cli import main
from tests.bus import toy
from tests.database import Database

MESSAGES = 50
ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/analysis.md")


@pytest.fixture(autouse=True)
async def admin(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """A log of fifty messages over three days."""
    monkeypatch.setattr(replaying, "CHUNK", 7)
    monkeypatch.setattr(parquet, "ROWS_HELD", 4)
    monkeypatch.setattr(parquet, "ROWS_A_STEP", 12)
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    booking = await database.connect("booking")
    producer = await toy.register(booking, toy.NAMES)
    await toy.append(booking, producer, *(toy.Put(tally=f'"{n}", ä') for n in range(MESSAGES)))
    await admin.execute(
        "UPDATE bus.outbox SET at = '2026-05-01T00:30:00Z'::timestamptz + make_interval(hours => position::int)"
    )
    await booking.close()
    yield admin
    await admin.close()


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, ["replay", *arguments], env=given)


async def write(database: Database, folder: Path, *arguments: str) -> None:
    outcome = await run(database, "--format", "parquet", "--output", str(folder), *arguments)
    assert outcome.exit_code == 0, outcome.output


def read(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("day=*/*.parquet"))
    assert files
    return sorted(
        (row for file in files for row in pyarrow.parquet.ParquetFile(file).read().to_pylist()),
        key=lambda row: row["position"],
    )


async def test_every_message_is_there_once_in_the_folder_of_its_day(database, tmp_path: Path):
    await write(database, tmp_path / "log")
    told = [json.loads(line) for line in (await run(database)).stdout.splitlines()]
    rows = read(tmp_path / "log")
    assert len(rows) == MESSAGES
    for row, line in zip(rows, told, strict=True):
        line["body"], row["body"] = line["body"], json.loads(row["body"])
        assert {**row, "at": row["at"].isoformat()} == line
    for file in (tmp_path / "log").glob("day=*/*.parquet"):
        day = file.parent.name.removeprefix("day=")
        days = {f"{row['at'].astimezone(UTC):%Y-%m-%d}" for row in pyarrow.parquet.ParquetFile(file).read().to_pylist()}
        assert days == {day}
    assert len(list((tmp_path / "log").glob("day=*"))) == 3


async def test_the_schema_says_what_each_column_means(database, tmp_path: Path):
    await write(database, tmp_path / "log")
    schema = pyarrow.parquet.read_schema(next((tmp_path / "log").glob("day=*/*.parquet")))
    assert schema.equals(parquet.SCHEMA, check_metadata=True)
    assert all(schema.field(name).metadata[b"description"] for name in schema.names)
    documented = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs" / "analysis.md").read_text(), re.MULTILINE)
    assert documented == schema.names


async def test_a_part_of_the_log_is_written_as_it_is_chosen(database, tmp_path: Path):
    await write(database, tmp_path / "log", "--since", "2026-05-02", "--until", "2026-05-02T03:00")
    assert [row["at"].hour for row in read(tmp_path / "log")] == [0, 1, 2]
    await write(database, tmp_path / "none", "--name", "booking.nothing")
    assert list((tmp_path / "none").glob("day=*")) == []


async def test_one_that_was_broken_off_goes_on_and_leaves_nothing_twice(
    database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    add, count = parquet._Step.add, 0

    def breaks(self: parquet._Step, envelope) -> None:
        nonlocal count
        count += 1
        if count % 17 == 0:
            raise OSError("the disk is full")
        add(self, envelope)

    folder = tmp_path / "log"
    monkeypatch.setattr(parquet._Step, "add", breaks)
    broken = 0
    while (await run(database, "--format", "parquet", "--output", str(folder), "--resume")).exit_code:
        broken += 1
        assert broken < 20
    assert broken > 2
    assert len({row["position"] for row in read(folder)}) == len(read(folder)) == MESSAGES
    assert list(folder.glob(f"day=*/*{parquet.UNFINISHED}")) == []
    await write(database, folder, "--resume")
    assert len(read(folder)) == MESSAGES, "nothing new, nothing twice"


async def test_what_is_no_such_folder_is_left_alone(database, admin, tmp_path: Path):
    (tmp_path / "letter.txt").write_text("Dear all,")
    for arguments, word in ((["--resume"], "manifest"), ([], "not empty")):
        refused = await run(database, "--format", "parquet", "--output", str(tmp_path), *arguments)
        assert refused.exit_code == 1
        assert word in refused.stderr
    await write(database, tmp_path / "log")
    await admin.execute("INSERT INTO bus.epoch (epoch) SELECT max(epoch) + 1 FROM bus.epoch")
    refused = await run(database, "--format", "parquet", "--output", str(tmp_path / "log"), "--resume")
    assert "epoch" in refused.stderr
    assert "folder" in (await run(database, "--format", "parquet")).stderr


def examples_in(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


async def test_duckdb_reads_it_as_documented(database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    duckdb = pytest.importorskip("duckdb")
    await write(database, tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    queries = [query for document in DOCUMENTS for query in examples_in(document, "sql")]
    assert len(queries) > 2
    for query in queries:
        duckdb.sql(query).fetchall()
    days = duckdb.sql("SELECT day, count(*) FROM read_parquet('log/*/*.parquet', hive_partitioning = true) GROUP BY 1")
    assert sum(rows for _, rows in days.fetchall()) == MESSAGES


async def test_polars_reads_it_as_documented(database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    polars = pytest.importorskip("polars")
    await write(database, tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    examples = [one for document in DOCUMENTS for one in examples_in(document, "python")]
    assert len(examples) > 1
    for example in examples:
        exec(compile(example, "an example", "exec"), {})  # noqa: S102 - our own documents
    assert polars.scan_parquet("log/*/*.parquet", hive_partitioning=True).collect().height == MESSAGES


async def test_the_example_scripts_run(database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Arrow alone is always there; what needs more is run where it is installed."""
    await write(database, tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert len(scripts) >= 2
    for script in scripts:
        monkeypatch.setattr("sys.argv", [str(script), "log"])
        runpy.run_path(str(script), run_name="__main__")
        assert capsys.readouterr().out.strip(), script
