"""What people say of shots: it counts at once, is told anew, and stands in the log with who said so and why."""

from datetime import timedelta
from uuid import UUID

import pytest

from bus.identity import uuid7
from handlers.stats.commands import AssignShots, CorrectShot
from handlers.stats.events import SessionScored, ShotCorrected, ShotsAssigned
from handlers.stats.store.corrections import shot_corrected
from handlers.stats.views import results
from tests.database import Database
from tests.handlers.scenario import NOON
from tests.handlers.stats.at_work import Range
from tests.handlers.stats.making import Stats, finished, shot, started

JUDGE = f"person:{UUID(int=42)}"
SESSION = UUID(int=1)


def correct(number: int, **said: object) -> CorrectShot:
    told = {"session": SESSION, "device": "target-1", "epoch": "e1", "number": number, "reason": "jury-decision"}
    return CorrectShot.model_validate(told | said)


def assign(first: int, last: int, session: int = 1, **said: object) -> AssignShots:
    told = {
        "session": UUID(int=session), "device": "target-1", "epoch": "e1", "first": first, "last": last,
        "reason": "no-session",
    }  # fmt: skip
    return AssignShots.model_validate(told | said)


async def shot_and_scored(at_work: Range, count: int = 5) -> None:
    await at_work.say(started(1))
    await at_work.shoot(*(shot(n, at_s=n, x_um=2_000) for n in range(1, count + 1)))
    await at_work.say(finished(1))
    await scored(at_work, count * 107)


async def scored(at_work: Range, tenths: int, session: UUID = SESSION) -> SessionScored:
    told = await at_work.told(
        SessionScored, f"(body -> 'group' ->> 'score_tenths')::int = {tenths} AND body ->> 'session' = '{session}'"
    )
    found = [one for one in told if isinstance(one, SessionScored) and one.session == session]
    return found[-1]


async def test_a_correction_counts_and_is_told_with_who_said_so_and_why(at_work: Range) -> None:
    await shot_and_scored(at_work)
    outcome = await at_work.ask(correct(2, score_tenths=93), JUDGE)
    assert outcome.name == ShotCorrected.name
    told = await scored(at_work, 4 * 107 + 93)
    assert told.group.shots == 5
    (event,) = await at_work.told(ShotCorrected)
    assert isinstance(event, ShotCorrected)
    assert (event.corrected_by, event.reason, event.number) == (JUDGE, "jury-decision", 2)
    await at_work.ask(correct(3, counts=False, reason="cross-fire", score_tenths=90), JUDGE)
    await scored(at_work, 3 * 107 + 93)
    await at_work.ask(correct(4, kind="sighter", reason="sighter"), JUDGE)
    assert (await scored(at_work, 2 * 107 + 93)).sighters == 1
    await at_work.ask(correct(2), JUDGE)  # by its place again
    await scored(at_work, 3 * 107)
    gateway = await at_work.database.connect("gateway")
    found = await results.shots(gateway, SESSION, None)
    await gateway.close()
    assert found is not None
    assert [(one.score_tenths, one.invalid) for one in found] == [
        (107, None), (107, None), (0, "cross-fire"), (107, None), (107, None)
    ]  # fmt: skip


async def test_shots_without_a_session_are_listed_and_go_to_whom_they_are_assigned(at_work: Range) -> None:
    await shot_and_scored(at_work, 2)
    await at_work.shoot(*(shot(n, at_s=7200 + n, x_um=2_000, lane="lane-9") for n in (3, 4, 6)))
    gateway = await at_work.database.connect("gateway")
    async with gateway.transaction():
        while True:
            strays = await results.unassigned(gateway, NOON, NOON + timedelta(days=1), None)
            if len(strays) == 3:
                break
    assert [(one.lane, one.number) for one in strays] == [("lane-9", 3), ("lane-9", 4), ("lane-9", 6)]
    assert await results.unassigned(gateway, NOON, NOON + timedelta(days=1), "lane-1") == []
    outcome = await at_work.ask(assign(3, 5), JUDGE)
    assert outcome.name == ShotsAssigned.name
    assert (await scored(at_work, 4 * 107)).group.shots == 4
    assert [one.number for one in await results.unassigned(gateway, NOON, NOON + timedelta(days=1), None)] == [6]
    await gateway.close()


async def test_assigned_shots_leave_the_session_they_were_in_and_are_not_moved_back(at_work: Range) -> None:
    await shot_and_scored(at_work)
    await at_work.say(started(2, lane="lane-2"), finished(2, lane="lane-2"))
    await at_work.ask(assign(4, 5, session=2, reason="wrong-lane"), JUDGE)
    await scored(at_work, 3 * 107)
    await scored(at_work, 2 * 107, UUID(int=2))
    await at_work.say(started(3, at_s=4))  # the next shooter on lane-1 takes what is not assigned
    await at_work.shoot(shot(6, at_s=4000))
    gateway = await at_work.database.connect("gateway")
    found = await results.shots(gateway, UUID(int=2), None)
    await gateway.close()
    assert found is not None
    assert [one.number for one in found] == [4, 5]


@pytest.mark.parametrize(
    ("asked", "actor", "rule"),
    [
        (correct(9), JUDGE, "no-such-shot"),
        (correct(1, session=UUID(int=2)), JUDGE, "no-such-shot"),
        (correct(1), "service:gateway", "only-people-correct"),
        (assign(7, 9), JUDGE, "no-such-shots"),
        (assign(2, 1), JUDGE, "numbers-backwards"),
        (assign(1, 1, session=9), JUDGE, "no-such-session"),
    ],
)
async def test_what_is_refused(at_work: Range, asked: CorrectShot | AssignShots, actor: str, rule: str) -> None:
    await shot_and_scored(at_work, 1)
    outcome = await at_work.ask(asked, actor, uuid7())
    assert outcome.name == "stats.command-rejected"
    assert outcome.body["rule"] == rule


@pytest.mark.parametrize("correction_first", [True, False])
async def test_a_correction_and_the_next_shooters_start_mean_the_same_in_either_order(
    database: Database, *, correction_first: bool
) -> None:
    """As they may be applied by workers side by side, and again in a rebuild."""
    corrected = ShotCorrected(
        session=SESSION, device="target-1", epoch="e1", number=2, reason="jury-decision", counts=True, kind="match",
        score_tenths=55, corrected_by=JUDGE, corrected_at=NOON,
    )  # fmt: skip
    connection = await database.connect("stats")
    stats = Stats(connection)
    await stats.hear(started(1), *(shot(n, at_s=n * 10, x_um=2_000) for n in (1, 2, 3)))
    if correction_first:
        await shot_corrected(connection, corrected)
        await stats.hear(started(2, at_s=15))
    else:
        await stats.hear(started(2, at_s=15))
        await shot_corrected(connection, corrected)
    rows = await connection.fetch("SELECT number, session, score_tenths FROM shot ORDER BY number")
    sums = await connection.fetch("SELECT session, shots, score_tenths FROM tally ORDER BY session")
    await connection.close()
    assert [tuple(row) for row in rows] == [(1, SESSION, 107), (2, UUID(int=2), 55), (3, UUID(int=2), 107)]
    assert [tuple(row) for row in sums] == [(SESSION, 1, 107), (UUID(int=2), 2, 162)]
