"""A small range day with real processes: it is played to its end, and every promise holds."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ops.address import address_of
from simulation import range_day
from simulation.day import Plan
from simulation.history import History
from simulation.invariants.evidence import Finding
from simulation.own_range import OwnRange, fresh_database
from simulation.progress import Display
from simulation.range_day import play_and_check, simulate
from simulation.report import Report, counted
from tests.database import Database

SMALL = Plan(lanes=2, shooters=6, shots=4, seed=1)
HELD = Finding(3, "No hold outlives its deadline.", ())
GOOD = Report(
    seed=7, lanes=1, shooters=1, played_s=1.0, **counted(History()), shots={}, money_minor={"paid": 1234}, messages={},
    booking_p50_ms=12.0, booking_p99_ms=34.0, troubles=(), findings=(HELD,),
)  # fmt: skip


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def databases(database: Database) -> list[str]:
    connection = await database.connect("postgres")
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'firingline_simulation_%'")
    finally:
        await connection.close()
    return [row["datname"] for row in rows]


async def test_a_small_day_is_played_and_every_invariant_holds(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report = await play_and_check(database.settings, SMALL, Display())
    assert report.troubles == ()
    assert [finding for finding in report.findings if not finding.ok] == []
    assert len(report.findings) == 11

    happened = report.happened
    assert (happened["sessions"], happened["cancelled"], happened["raced"]) == (4, 1, 2)
    assert happened["connections lost"] == 1
    assert report.refused["POST bookings: auth, licence-expired"] == 1
    assert (report.commands["keys misused"], report.commands["failed"]) == (1, 0)
    assert report.commands["sent twice"] > 0
    assert report.shots["fired"] == report.shots["recorded"] == 4 * (3 + 4)
    assert report.shots["repeated"] > 0, "one lane's shots came by two ways"
    money = report.money_minor
    assert money["invoiced"] == money["paid"] + money["credited"] + money["open"] - money["refunded"]
    assert json.loads(json.dumps(report.as_json()))["ok"] is True

    assert left_in(tmp_path) == []
    assert await databases(database) == []


@pytest.mark.parametrize("keep", [False, True])
async def test_a_database_of_its_own_is_dropped_unless_it_is_to_be_kept(
    database: Database, tmp_path: Path, *, keep: bool
):
    own = OwnRange(tmp_path, address_of(database.settings), "", "", keep)
    told: list[str] = []
    async with fresh_database(database.settings.admin_url, own, told.append):
        [name] = await databases(database)
        assert own.admin_url.endswith(f"/{name}")
    assert await databases(database) == ([name] if keep else [])
    assert told == ([f"Kept: the database {name}."] if keep else [])
    connection = await database.connect("postgres")
    await connection.execute(f"DROP DATABASE IF EXISTS {name}")
    await connection.close()


def outcome_of(monkeypatch: pytest.MonkeyPatch, report: Report, *options: str):
    async def played(*_: object, **__: object) -> Report:
        return report

    monkeypatch.setattr(range_day, "play_and_check", played)
    return CliRunner().invoke(simulate, options)


def test_a_good_day_ends_well(monkeypatch: pytest.MonkeyPatch):
    outcome = outcome_of(monkeypatch, GOOD)
    assert outcome.exit_code == 0, outcome.output
    assert "12.34 EUR" in outcome.output
    assert "OK" in outcome.output


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, findings=(replace(HELD, broken=("holds too old: booking=1",)),)),
        replace(GOOD, troubles=("payment has 3 messages to read",)),
    ],
    ids=["broken", "not played"],
)
def test_a_bad_day_is_told_with_its_seed_and_an_exit_code(monkeypatch: pytest.MonkeyPatch, bad: Report):
    outcome = outcome_of(monkeypatch, bad)
    assert outcome.exit_code == 1
    assert "seed 7" in outcome.output
    assert "BROKEN" in outcome.output or "3 messages" in outcome.output


def test_programs_get_one_json_object(monkeypatch: pytest.MonkeyPatch):
    told = json.loads(outcome_of(monkeypatch, GOOD, "--json").stdout)
    assert told["ok"] is True
    assert told["invariants"] == [{"number": 3, "sentence": HELD.sentence, "broken": [], "ok": True}]


def test_without_a_server_it_is_one_sentence(tmp_path: Path):
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "FIRINGLINE_HOME": str(tmp_path / "home")}
    outcome = CliRunner().invoke(simulate, ["--lanes", "1", "--shooters", "1"], env=nowhere)
    assert outcome.exit_code == 1
    assert "cannot be reached" in str(outcome.exception)


@pytest.mark.parametrize("option", ["--lanes=0", "--shooters=0", "--shots=91", "--seed=-1"])
def test_a_day_without_anybody_is_none(option: str):
    assert CliRunner().invoke(simulate, [option]).exit_code == 2
