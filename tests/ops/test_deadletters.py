"""The command over a real database; what a consumer makes of it is tested with the bus."""

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from bus.outbox import Outbox, Said
from ops.cli import main
from tests.bus import toy
from tests.database import Database


@pytest.fixture
async def positions(database: Database) -> list[int]:
    """Two dead letters of one cause, one of a failed command, and a held stream."""
    booking = await database.connect("booking")
    producer = await toy.register(booking, toy.NAMES)
    events = [toy.Put(tally=tally) for tally in ("a", "b")]
    await toy.append(booking, producer, *events, toy.Add(tally="c", amount=1), toy.Put(tally="d"))
    rows = await booking.fetch("SELECT position, id, stream, name FROM bus.outbox ORDER BY position")
    for row in rows[:3]:
        await _dead(booking, row)
    failed = toy.CommandFailed(command=rows[2]["id"], asked="booking.add", about="tally:c", reason="A fault.")
    await _conclude(booking, producer, failed)
    await booking.execute(
        """
        INSERT INTO bus.parked (consumer, stream, head, last, attempts, retry_at, held, cause, error)
        VALUES ('booking', 'tally:d', $1, $1, 8, now(), true, 'OSError in x.py:y', 'OSError: away')
        """,
        rows[3]["position"],
    )
    await booking.close()
    return [row["position"] for row in rows]


async def _dead(booking: asyncpg.Connection, row: asyncpg.Record) -> None:
    await booking.execute(
        """
        INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error)
        VALUES ('booking', $1, $2, $3, 8, 'ValueError in model.py:decide', 'Traceback: ValueError: no')
        """,
        row["position"],
        row["stream"],
        row["name"],
    )


async def _conclude(booking: asyncpg.Connection, producer: toy.FixedProducer, failed: toy.CommandFailed) -> None:
    said = Said(failed, "service:booking", failed.command, None, failed.command, "failed")
    await Outbox(toy.toy(), producer).append(booking, [said])


async def run(database: Database, *arguments: str) -> Result:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    return await asyncio.to_thread(CliRunner().invoke, main, ["deadletters", *arguments], env=given)


async def test_they_are_listed_by_cause(database: Database, positions: list[int]) -> None:
    lines = (await run(database, "list")).output.splitlines()
    assert lines[0] == "booking: 3 dead, ValueError in model.py:decide"
    assert lines[1].startswith(f"  {positions[0]} booking.put-off in tally:a: dead after 8 attempts, since 20")
    assert lines[3].endswith("its sender was told: failed")
    assert lines[4] == "booking: 1 held, OSError in x.py:y"


async def test_one_is_shown_with_its_message_and_its_error(database: Database, positions: list[int]) -> None:
    shown = (await run(database, "show", str(positions[0]))).output
    assert '{"tally": "a"}' in shown
    assert shown.endswith("Traceback: ValueError: no\n")
    assert (await run(database, "show", "999999")).exit_code == 1


@pytest.mark.usefixtures("positions")
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(database: Database) -> None:
    shown = (await run(database, "requeue", "--all", "--dry-run")).output
    assert shown.splitlines()[-1] == "3 would be tried again; 1 left alone."
    assert "3 dead, ValueError" in (await run(database, "list")).output


async def test_requeueing_by_cause_leaves_the_rest_and_failed_commands_alone(
    database: Database, positions: list[int]
) -> None:
    shown = (await run(database, "requeue", "--cause", "ValueError")).output
    assert shown.splitlines()[-1] == "2 will be tried again; 1 left alone."
    assert f"left alone: {positions[2]} booking.add" in shown
    listed = (await run(database, "list")).output
    assert "2 requeued" in listed
    assert "1 dead" in listed
    assert "1 held" in listed


@pytest.mark.usefixtures("positions")
async def test_what_is_discarded_is_listed_on_demand_only(database: Database) -> None:
    assert (await run(database, "discard", "--stream", "tally:a")).output.endswith(
        "1 will be given up; 0 left alone.\n"
    )
    assert "tally:a" not in (await run(database, "list")).output
    assert "1 discarded" in (await run(database, "list", "--discarded")).output
    assert (await run(database, "requeue", "--stream", "tally:a")).output == "0 will be tried again; 0 left alone.\n"


async def test_what_is_discarded_comes_back_by_its_position_alone(database: Database, positions: list[int]) -> None:
    place = str(positions[0])
    await run(database, "discard", "--position", place)
    assert (await run(database, "requeue", "--position", place)).output.endswith(
        "1 will be tried again; 0 left alone.\n"
    )


@pytest.mark.usefixtures("positions")
async def test_everything_is_moved_only_when_it_is_said(database: Database) -> None:
    outcome = await run(database, "requeue")
    assert (outcome.exit_code, outcome.stderr) == (
        1,
        "firingline: Say which: --position, --stream, --cause, --service or --all.\n",
    )


async def test_with_nothing_to_show_it_says_so(database: Database) -> None:
    assert (await run(database, "list")).output == "Nothing is dead, held or parked.\n"
