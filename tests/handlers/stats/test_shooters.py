"""What a shooter's sessions say together: from sums alone, and the same as from every shot."""

import random
from datetime import timedelta
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from handlers.armory.events import WeaponAdded, WeaponIssued
from handlers.stats import privacy
from handlers.stats.commands import ShareResults
from handlers.stats.comparison import (
    NOT_SHARED,
    TOO_FEW_PEOPLE,
    TOO_FEW_SESSIONS,
    compare_with_others,
    standings,
)
from handlers.stats.events import ShotRecorded
from handlers.stats.model import rules
from handlers.stats.model.sharing import share_results
from handlers.stats.model.tally import Tally, Worth
from handlers.stats.trend import trend
from handlers.stats.views import shooters
from tests.database import Database
from tests.gateway.gate import open_gate
from tests.handlers.scenario import NOON, given
from tests.handlers.stats.making import SHOOTER, Stats, finished, shot, started

SINCE, UNTIL = NOON - timedelta(days=1), NOON + timedelta(days=30)
AIR = "air-pistol-10m"
WEAPON = UUID(int=77)


def shots_of(session: int, count: int, by: int = 9_000) -> list[ShotRecorded]:
    chance = random.Random(session)
    return [
        shot(
            n,
            epoch=f"s{session}",
            x_um=round(chance.gauss(1_500, by)),
            y_um=round(chance.gauss(-900, by)),
            miss=n % 19 == 0,
            at_s=session * 7_200 + n * 30,
        )
        for n in range(1, count + 1)
    ]


async def season(stats: Stats, sessions: int = 6, count: int = 30) -> None:
    for number in range(1, sessions + 1):
        at = number * 7_200
        await stats.hear(started(number, at_s=at), *shots_of(number, count, 6_000 + number * 900))
        await stats.hear(finished(number, at_s=at + 3_600))


async def test_sums_say_what_every_shot_says(database: Database) -> None:
    connection = await database.connect("stats")
    await season(Stats(connection))
    rows = await connection.fetch("SELECT * FROM shot WHERE kind = 'match' ORDER BY received_at")
    gateway = await database.connect("gateway")
    found = await shooters.shooter(gateway, SHOOTER, SINCE, UNTIL, discipline=AIR, by="lane", zone="UTC")
    hits = [row for row in rows if not row["miss"]]
    groups = [[row for row in hits if row["session"] == UUID(int=n)] for n in range(1, 7)]
    squares = [np.array([(row["x_um"], row["y_um"]) for row in group], dtype=float) for group in groups]
    sigma = np.sqrt(
        sum(((one - one.mean(0)) ** 2).sum() for one in squares) / sum(2 * (len(one) - 1) for one in squares)
    )
    scores = [[row["score_tenths"] / 10 for row in rows if row["session"] == UUID(int=n)] for n in range(1, 7)]
    assert (found.sessions, found.shots, found.misses) == (6, 180, 6)
    assert found.mean_score == pytest.approx(fmean(one for some in scores for one in some))
    assert found.sigma.mm is not None
    assert found.sigma.mm.value == pytest.approx(sigma / 1000, rel=2e-3), "but for c4"
    assert found.sigma.mm.low is not None
    assert found.sigma.mm.low < sigma / 1000 < (found.sigma.mm.high or 0)
    assert found.rings == [sum(int(one) == ring for some in scores for one in some) for ring in range(11)]
    assert found.between_sessions == pytest.approx(stdev(fmean(some) for some in scores))
    freedom = sum(len(some) - 1 for some in scores)
    within = np.sqrt(sum(((np.array(some) - fmean(some)) ** 2).sum() for some in scores) / freedom)
    assert found.score_deviation == pytest.approx(within)
    assert found.centre_x.mm is not None
    assert found.centre_x.mm.value == pytest.approx(fmean(row["x_um"] for row in hits) / 1000)
    assert found.mean_of_sessions is not None
    assert found.mean_of_sessions.value == pytest.approx(fmean(fmean(some) for some in scores))
    assert found.hit_share == pytest.approx(174 / 180)
    await gateway.close()
    await connection.close()


async def test_sessions_are_told_apart_by_what_they_have_in_common(database: Database) -> None:
    connection = await database.connect("stats")
    stats = Stats(connection)
    await stats.hear(started(9, lane="lane-2", discipline="rifle-50m", at_s=0), finished(9, lane="lane-2", at_s=60))
    await season(stats, sessions=3)
    await stats.hear(
        WeaponAdded(weapon=WEAPON, weapon_type="air-pistol", serial="A-1"),
        *(
            WeaponIssued(
                weapon=WEAPON, booking=UUID(int=n), handed_to=SHOOTER, handed_by=SHOOTER, rounds=40, issued_at=NOON,
                lot=lot,
            )
            for n, lot in ((1, "L-1"), (2, "L-2"))
        ),
    )  # fmt: skip
    gateway = await database.connect("gateway")

    async def by(dimension: shooters.Dimension, zone: str = "UTC") -> dict[str, int]:
        found = await shooters.shooter(gateway, SHOOTER, SINCE, UNTIL, discipline=AIR, by=dimension, zone=zone)
        return {part.key: part.sessions for part in found.by}

    assert await by("lane") == {"lane-1": 3}
    assert await by("discipline") == {AIR: 3}
    assert await by("weapon") == {str(WEAPON): 2, "none": 1}
    assert await by("weapon-type") == {"air-pistol": 2, "none": 1}
    assert await by("ammunition") == {"L-1": 1, "L-2": 1, "none": 1}
    assert await by("hour") == {"14": 1, "16": 1, "18": 1}
    assert await by("hour", "Asia/Tokyo") == {"23": 1, "01": 1, "03": 1}
    assert await by("weekday", "Asia/Tokyo") == {"monday": 1, "tuesday": 2}
    none = await shooters.shooter(gateway, UUID(int=1234), SINCE, UNTIL, discipline=None, by="lane", zone="UTC")
    assert (none.sessions, none.mean_score, none.hit_share, none.sigma.absent is not None) == (0, None, None, True)
    await gateway.close()
    await connection.close()


async def test_a_sessions_series_and_its_trend(database: Database) -> None:
    connection = await database.connect("stats")
    await Stats(connection).hear(
        started(1), *(shot(n, x_um=n * 600, at_s=n * 30, kind="match") for n in range(1, 26)), finished(1)
    )
    rows = await connection.fetch("SELECT score_tenths FROM shot ORDER BY received_at")
    gateway = await database.connect("gateway")
    found = await shooters.stability(gateway, UUID(int=1), SHOOTER)
    assert found is not None
    assert [one.shots for one in found.series] == [10, 10, 5]
    assert sum(one.score_tenths for one in found.series) == sum(row["score_tenths"] for row in rows)
    slope = np.polyfit([n * 30 for n in range(1, 26)], [row["score_tenths"] / 10 for row in rows], 1)[0] * 600
    assert found.slope is not None
    assert found.slope.value == pytest.approx(slope)
    assert found.real is True
    assert "worse" in found.in_words
    assert await shooters.stability(gateway, UUID(int=1), UUID(int=8)) is None
    await gateway.close()
    await connection.close()


def test_sessions_that_hold_are_called_so_at_the_stated_rate() -> None:
    chance = np.random.default_rng(4)
    alarms, held = 0, 2_000
    for _ in range(held):
        tenths = np.clip(chance.normal(95, 6, 40).round(), 0, 109).astype(int)
        alarms += bool(trend(tally_of(tenths.tolist())).real)
    assert alarms / held == pytest.approx(0.05, abs=0.015)
    falling = trend(tally_of([*range(109, 70, -1), 80]))
    assert falling.real
    assert (falling.slope or 0) < 0
    assert "Nothing can be said" in trend(tally_of([90] * 9)).in_words
    assert trend(tally_of([90] * 20)).absent is not None


def tally_of(tenths: list[int]) -> Tally:
    return Tally.of([(shot(n, at_s=n * 30), Worth(one, inner_ten=False)) for n, one in enumerate(tenths, start=1)])


@for_all(
    st.lists(
        st.tuples(
            st.integers(-200_000, 200_000), st.integers(-200_000, 200_000), st.integers(0, 109), st.booleans(),
            st.sampled_from(["match", "sighter"]), st.integers(0, 10_000),
        ),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_order_and_any_batching_give_the_same_sums(facts: list[Any], chance: random.Random) -> None:
    scored = [
        (shot(n, x_um=x, y_um=y, miss=miss, kind=kind, at_s=at_s), Worth(0 if miss else tenths, inner_ten=tenths > 105))
        for n, (x, y, tenths, miss, kind, at_s) in enumerate(facts, start=1)
    ]
    whole = Tally.of(scored)
    chance.shuffle(scored)
    summed = Tally()
    while scored:
        size = chance.randint(1, len(scored))
        summed += Tally.of(scored[:size])
        del scored[:size]
    assert summed == whole


MEANS = {UUID(int=n): [9.0 + n / 10] * 3 for n in range(1, privacy.FEWEST_PEOPLE + 1)}


def test_a_percentile_counts_the_others_who_are_lower_and_half_of_those_who_are_equal() -> None:
    found = compare_with_others(UUID(int=3), MEANS, shares=True)
    assert (found.people, found.percentile, found.rank) == (5, 50.0, 3)
    assert found.median == pytest.approx(9.3)
    tied = {**MEANS, UUID(int=6): [9.3] * 3}
    assert compare_with_others(UUID(int=3), tied, shares=True).percentile == 50.0
    assert [one.rank for one in standings(tied)] == [1, 2, 3, 3, 5, 6]


def test_nobody_is_compared_among_a_few_without_sharing_or_with_too_few_sessions() -> None:
    few = dict(list(MEANS.items())[:-1])
    assert compare_with_others(UUID(int=1), few, shares=True).absent == TOO_FEW_PEOPLE
    assert standings(few) == []
    assert compare_with_others(UUID(int=1), MEANS, shares=False).absent == NOT_SHARED
    short = {**MEANS, UUID(int=1): [9.0] * 2}
    assert compare_with_others(UUID(int=1), short, shares=True).absent == TOO_FEW_SESSIONS
    assert standings(short) == [], "who has too few sessions does not fill up the number"


def test_nobody_decides_for_others_whether_they_are_compared() -> None:
    asked = ShareResults(person=SHOOTER, shared=True)
    given(None, actor=f"person:{UUID(int=8)}").when(share_results, asked).then_refused(rules.NotForOthers)


async def test_over_http_one_is_compared_only_with_those_who_share(database: Database, tmp_path: Path) -> None:
    connection = await database.connect("stats")
    stats = Stats(connection)
    for person in range(1, 7):
        for n in range(3):
            key = person * 10 + n
            lane = f"lane-{person}"
            fired = (
                shot(i, device=f"t{person}", epoch=f"{n}", lane=lane, x_um=person * 1_000, at_s=n * 9_000 + i)
                for i in range(1, 11)
            )
            await stats.hear(
                started(key, at_s=n * 9_000, lane=lane, person=UUID(int=person)),
                *fired,
                finished(key, at_s=n * 9_000 + 3_600, lane=lane),
            )
    query = f"?from={SINCE:%Y-%m-%d}T00:00:00Z&to={UNTIL:%Y-%m-%d}T00:00:00Z&discipline={AIR}"
    async with open_gate(database, tmp_path, services=("stats",)) as gate:
        own = gate.token(person=UUID(int=1))
        before = await gate.get(f"/v1/comparison{query}", own)
        for person in range(1, 6):
            shared = await gate.put(
                f"/v1/people/{UUID(int=person)}/sharing", {"shared": True}, gate.token(person=UUID(int=person))
            )
            assert shared.status == 202
            await connection.execute("INSERT INTO sharing VALUES ($1, $2)", UUID(int=person), NOON)  # as stats would
        after = await gate.get(f"/v1/comparison{query}", own)
        board = await gate.get(f"/v1/leaderboard{query}", own)
        staff = await gate.get(f"/v1/leaderboard{query}", gate.token("instructor"))
        alien = await gate.put(f"/v1/people/{UUID(int=2)}/sharing", {"shared": True}, own)
    assert (before.body["shared"], before.body["percentile"], before.body["absent"]) == (False, None, NOT_SHARED)
    assert (after.body["people"], after.body["percentile"], after.body["rank"]) == (5, 100.0, 1)
    assert [one["rank"] for one in board.body["places"]] == [1, 2, 3, 4, 5]
    assert [one["person"] for one in board.body["places"]] == [str(UUID(int=1)), None, None, None, None]
    assert [one["person"] for one in staff.body["places"]] == [str(UUID(int=n)) for n in range(1, 6)]
    assert alien.status == 404
    await connection.close()


async def test_attendance_is_told_by_day_with_a_digest_that_others_can_check(
    database: Database, tmp_path: Path
) -> None:
    connection = await database.connect("stats")
    stats = Stats(connection)
    await season(stats, sessions=6, count=12)
    await stats.hear(started(40, at_s=86_400 * 3), finished(40, at_s=86_400 * 3 + 60))  # in which nothing was fired
    query = f"?from={SINCE:%Y-%m-%d}T00:00:00Z&to={UNTIL:%Y-%m-%d}T00:00:00Z"
    async with open_gate(database, tmp_path, services=("stats",)) as gate:
        own = await gate.get(f"/v1/attendance{query}", gate.token(person=SHOOTER))
        desk = await gate.get(f"/v1/attendance{query}&person={SHOOTER}", gate.token("cashier"))
        tokyo = await gate.get(f"/v1/attendance{query}&time-zone=Asia/Tokyo", gate.token(person=SHOOTER))
        others = await gate.get(f"/v1/attendance{query}&person={SHOOTER}", gate.token())
        nowhere = await gate.get(f"/v1/attendance{query}&time-zone=Nowhere", gate.token(person=SHOOTER))
    assert [(one["day"], one["sessions"], one["minutes"], one["shots"]) for one in own.body["days"]] == [
        ("2026-06-01", 5, 300, 60),
        ("2026-06-02", 1, 60, 12),
    ]
    assert desk.body == own.body
    assert tokyo.body["digest"] != own.body["digest"]
    assert (others.status, nowhere.status) == (404, 422)
    await connection.close()


async def test_sums_of_before_the_migration_are_what_they_would_have_been(database: Database) -> None:
    """The migration adds up what is in the tables; handling the shots adds up as they come."""
    connection = await database.connect("stats")
    stats = Stats(connection)
    await season(stats, sessions=2)
    await stats.hear(started(3, lane="lane-3", discipline="of-no-known-face", at_s=0))
    await stats.hear(shot(1, device="t3", lane="lane-3", x_um=5), shot(2, device="t3", lane="lane-3", miss=True))
    await stats.hear(started(4, lane="lane-4"), shot(1, device="t4", lane="lane-4", kind="sighter", x_um=5))
    [path] = (Path(__file__).parents[3] / "migrations").glob("*_shooters_are_told_from_sums.sql")
    script = path.read_text()
    update = script[script.index("UPDATE stats.tally") : script.index("ALTER TABLE stats.tally\n    ALTER COLUMN")]
    kept = await connection.fetch("SELECT * FROM tally ORDER BY session")
    await connection.execute(
        "UPDATE tally SET scored = 0, rings = '{0}', sum_squared_tenths = 0, sum_xx_um = 0, sum_xy_um = 0,"
        " sum_yy_um = 0, sum_s = 0, sum_ss = 0, sum_s_tenths = 0"
    )
    await connection.execute(update)
    assert await connection.fetch("SELECT * FROM tally ORDER BY session") == kept
    assert len(kept) == 4
    await connection.close()
