"""`firingline replay`: which messages, in which form, and how one that was broken off goes on."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner, Result

from bus import replay as replaying
from bus.message import Envelope
from bus.replay import COLUMNS, as_json
from ops import analyst
from ops.cli import main
from tests.bus import toy
from tests.database import Database

MESSAGES = 50


@pytest.fixture
async def admin(database: Database, monkeypatch: pytest.MonkeyPatch):
    """A log of fifty messages, one an hour, the last an hour ago."""
    monkeypatch.setattr(replaying, "CHUNK", 7)
    admin = await database.connect("postgres")
    await toy.make_table(admin)
    booking = await database.connect("booking")
    producer = await toy.register(booking, toy.NAMES)
    await toy.append(booking, producer, *(toy.Put(tally=f'"{n}", ä') for n in range(MESSAGES)))
    await admin.execute(
        "UPDATE bus.outbox SET at = now() - make_interval(hours => (SELECT max(position) + 1 FROM bus.outbox)::int)"
        "                          + make_interval(hours => position::int)"
    )
    await booking.close()
    yield admin
    await admin.close()


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, ["replay", *arguments], env=given)


async def positions(database: Database, *arguments: str) -> list[int]:
    outcome = await run(database, *arguments)
    assert outcome.exit_code == 0, outcome.output
    return [json.loads(line)["position"] for line in outcome.stdout.splitlines()]


async def test_time_and_name_choose(database: Database, admin: asyncpg.Connection) -> None:
    whole = await positions(database)
    assert len(whole) == MESSAGES
    rows = await admin.fetch("SELECT position, at FROM bus.outbox ORDER BY position")
    since, until = rows[20]["at"], rows[30]["at"]
    assert await positions(database, "--since", since.isoformat(), "--until", until.isoformat()) == whole[20:30]
    naive = since.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert await positions(database, "--since", naive, "--name", "booking.put-off") == whole[20:]
    assert await positions(database, "--name", "booking.added") == []
    assert await positions(database, "--until", "2020-01-01") == []
    assert (await run(database, "--since", "yesterday")).exit_code == 2


async def test_no_time_is_lost_where_the_clock_stepped_back(database: Database, admin: asyncpg.Connection) -> None:
    """A third of the messages bear a time three quarters of an hour too early or too late."""
    await admin.execute(
        """
        UPDATE bus.outbox
        SET at = at + make_interval(mins => CASE position % 3 WHEN 0 THEN 45 WHEN 1 THEN -45 ELSE 0 END)
        """
    )
    rows = await admin.fetch("SELECT position, at FROM bus.outbox ORDER BY position")
    for hour in range(MESSAGES):
        moment = datetime.now(UTC) - timedelta(hours=hour + 0.3)
        later = [row["position"] for row in rows if row["at"] >= moment]
        assert await positions(database, "--since", moment.isoformat()) == later


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_wherever_it_was_broken_off_it_goes_on_to_the_same_file(
    database: Database, admin: asyncpg.Connection, tmp_path: Path, form: str
) -> None:
    del admin
    file = tmp_path / "replayed"
    arguments = ("--format", form, "--output", str(file))
    assert (await run(database, *arguments)).exit_code == 0
    whole = file.read_bytes()
    assert whole.count(b"\n") == MESSAGES + (form == "csv")
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1, len(whole)):
        file.write_bytes(whole[:cut])
        assert (await run(database, *arguments, "--resume")).exit_code == 0
        assert file.read_bytes() == whole
    file.unlink()
    assert (await run(database, *arguments, "--resume")).exit_code == 0
    assert file.read_bytes() == whole


async def test_csv_has_what_json_has(database: Database, admin: asyncpg.Connection) -> None:
    del admin
    told = [json.loads(line) for line in (await run(database)).stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO((await run(database, "--format", "csv")).stdout)))
    assert len(rows) == MESSAGES
    for one, row in zip(told, rows, strict=True):
        assert json.loads(row.pop("body")) == one.pop("body")
        assert row == {key: "" if value is None else str(value) for key, value in one.items()}


async def test_a_file_of_another_life_of_the_log_is_not_gone_on_with(
    database: Database, admin: asyncpg.Connection, tmp_path: Path
) -> None:
    file = tmp_path / "replayed"
    await run(database, "--output", str(file))
    await admin.execute("INSERT INTO bus.epoch (epoch) VALUES (2)")
    outcome = await run(database, "--output", str(file), "--resume")
    assert (outcome.exit_code, "of epoch 1, and the log of 2" in outcome.output) == (1, True)
    file.write_text("something else\n")
    assert "none of such a replay" in (await run(database, "--output", str(file), "--resume")).output
    assert (await run(database, "--resume")).exit_code == 1


def test_the_last_whole_line_is_found_however_long(tmp_path: Path) -> None:
    file = tmp_path / "long"
    long = "x" * (analyst.LOOK_BACK_BYTES * 2 + 5)
    for text, line, left in (
        (f"a\n{long}\nrest", long, f"a\n{long}\n"),
        (f"{long}\n{long}", long, f"{long}\n"),
        ("half a line", None, ""),
        ("", None, ""),
    ):
        file.write_text(text)
        assert analyst.whole_last_line(file) == line
        assert file.read_text() == left


async def test_what_was_dropped_is_told(database: Database, admin: asyncpg.Connection) -> None:
    await admin.execute(
        """
        INSERT INTO bus.dropped (topic, from_position, to_position, messages, names)
        VALUES ('telemetry', 0, 9, 1, '{"stats.shot-recorded": 1}')
        """
    )
    assert "Up to position 9 not all is there" in (await run(database)).stderr
    assert (await run(database, "--from-position", "10")).stderr == ""


@pytest.mark.parametrize("absent", [True, False])
def test_a_line_is_json_whatever_stands_in_it(*, absent: bool) -> None:
    envelope = Envelope(
        position=7,
        topic="domain",
        partition=3,
        schema=1,
        producer=4,
        id=UUID(int=1),
        cause=None if absent else UUID(int=2),
        correlation=UUID(int=3),
        concludes=None if absent else UUID(int=4),
        revision=None if absent else 5,
        at=datetime(2026, 5, 1, 18, tzinfo=UTC),
        name="booking.book-session",
        stream='lane:"1"\\\n\u2028ä',
        actor="device:\x00",
        body='{"lane": "1"}',
    )
    line = as_json(envelope, 2)
    told = json.loads(line)
    assert "\n" not in line
    assert tuple(told) == COLUMNS
    assert told.pop("body") == {"lane": "1"}
    assert told.pop("epoch") == 2
    for name, found in told.items():
        said = getattr(envelope, name)
        assert found == (said if said is None or isinstance(said, int) else getattr(said, "isoformat", said.__str__)())
