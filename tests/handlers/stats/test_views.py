from datetime import timedelta
from math import hypot, pi
from uuid import UUID

from handlers.stats.views import finals, groups, progress, results
from tests.database import Database
from tests.handlers.scenario import NOON
from tests.handlers.stats.making import SHOOTER, Stats, finished, shot, started

OTHER = UUID(int=8)
DAY = timedelta(days=1)


async def told(database: Database) -> None:
    connection = await database.connect("stats")
    stats = Stats(connection)
    await stats.hear(
        started(1), *(shot(n, x_um=n * 2_000, at_s=n) for n in range(1, 6)), shot(6, miss=True), finished(1)
    )
    await stats.hear(started(2, at_s=7200), shot(7, at_s=7201))
    await stats.hear(started(3, at_s=0, lane="lane-2", person=OTHER))
    await connection.close()


async def test_a_session_is_shown_with_its_result(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    scored = await results.session(gateway, UUID(int=1), SHOOTER)
    running = await results.session(gateway, UUID(int=2), SHOOTER)
    empty = await results.session(gateway, UUID(int=3), OTHER)
    await gateway.close()
    assert scored is not None
    assert (scored.state, scored.misses) == ("scored", 1)
    assert scored.group is not None
    assert scored.group.shots == 5
    assert running is not None
    assert (running.state, running.finished_at) == ("running", None)
    assert running.group is not None
    assert empty is not None
    assert (empty.group, empty.sighters) == (None, 0)


async def test_anothers_session_looks_absent(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    assert await results.session(gateway, UUID(int=1), OTHER) is None
    assert await results.shots(gateway, UUID(int=1), OTHER) is None
    assert [one.session for one in await results.sessions(gateway, OTHER, NOON - DAY, NOON + DAY)] == [UUID(int=3)]
    assert (await progress.progress(gateway, OTHER, NOON - DAY, NOON + DAY, "air-pistol-10m")).sessions == []
    await gateway.close()


async def test_staff_sees_every_session(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    assert await results.session(gateway, UUID(int=1), None) is not None
    shots = await results.shots(gateway, UUID(int=1), None)
    await gateway.close()
    assert shots is not None
    assert [one.number for one in shots] == [1, 2, 3, 4, 5, 6]
    assert [one.score_tenths for one in shots] == [107, 105, 102, 100, 97, 0]


async def test_the_targets_own_score_stands_beside_ours_and_a_difference_is_counted(database: Database) -> None:
    connection = await database.connect("stats")
    await Stats(connection).hear(
        started(1),
        shot(1, x_um=2_000, device_tenths=107, device_rings=10),
        shot(2, x_um=2_000, device_tenths=105),
        shot(3, x_um=2_000, device_rings=9),
        shot(4, x_um=2_000),
        shot(5, x_um=2_000, device_tenths=0, invalid="out-of-time"),
        finished(1),
    )
    await connection.close()
    gateway = await database.connect("gateway")
    found = await results.shots(gateway, UUID(int=1), None)
    session = await results.session(gateway, UUID(int=1), None)
    await gateway.close()
    assert found is not None
    assert [one.disagrees for one in found] == [False, True, True, False, False]
    assert [one.score_tenths for one in found] == [107, 107, 107, 107, 0]
    assert session is not None
    assert session.disagreements == 2
    assert session.group is not None
    assert (session.group.shots, session.group.score_tenths) == (5, 4 * 107)


async def test_a_final_stands_as_its_sessions_shots_say(database: Database) -> None:
    connection = await database.connect("stats")
    stats = Stats(connection)
    for n, x_um in ((1, 0), (2, 2_000), (3, 9_000)):
        fired = [shot(k, device=f"target-{n}", lane=f"lane-{n}", at_s=k, x_um=x_um) for k in range(1, 23)]
        warm_up = shot(30, device=f"target-{n}", lane=f"lane-{n}", at_s=0.5, kind="sighter")
        await stats.hear(started(n, lane=f"lane-{n}", person=UUID(int=100 + n)), warm_up, *fired)
    await connection.close()
    gateway = await database.connect("gateway")
    found = await finals.final(gateway, [UUID(int=n) for n in (1, 2, 3)])
    assert await finals.final(gateway, [UUID(int=1), UUID(int=9)]) is None
    await gateway.close()
    assert found is not None
    assert [(one.session.int, one.person.int, one.rank, one.finished) for one in found.standings] == [
        (1, 101, 1, False), (2, 102, 2, False), (3, 103, 3, True),
    ]  # fmt: skip
    assert found.standings[0].stage_totals_tenths == tuple(109 * n for n in (5, 10, 12, 14, 16, 18, 20, 22))
    assert (found.shoot_off, found.absent) == ((), None)


async def test_sessions_are_listed_by_period_and_page(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    both = await results.sessions(gateway, SHOOTER, NOON, NOON + DAY)
    first = await results.sessions(gateway, SHOOTER, NOON, NOON + DAY, limit=1)
    rest = await results.sessions(gateway, SHOOTER, NOON, NOON + DAY, after=first[0].session)
    before = await results.sessions(gateway, SHOOTER, NOON, NOON + timedelta(hours=2))
    await gateway.close()
    assert both == [*first, *rest]
    assert [one.session for one in both] == [UUID(int=1), UUID(int=2)]
    assert [one.session for one in before] == [UUID(int=1)]


async def test_progress_tells_each_sessions_mean_and_how_sure_it_is(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    found = await progress.progress(gateway, SHOOTER, NOON - DAY, NOON + DAY, "air-pistol-10m")
    await gateway.close()
    first, second = found.sessions
    assert first.shots == 6
    assert abs(first.mean_score - 51.1 / 6) < 1e-9
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.mean_score < first.high
    assert (second.shots, second.low, second.high) == (1, None, None)


async def test_the_gateway_reads_nothing_but_the_views(database: Database) -> None:
    gateway = await database.connect("gateway")
    readable = await gateway.fetch(
        """
        SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'stats' AND c.relkind IN ('r', 'v') AND has_table_privilege(c.oid, 'SELECT')
        """
    )
    await gateway.close()
    assert {row["relname"] for row in readable} == {
        "report_files",
        "reports",
        "session_sums",
        "sessions",
        "shared_results",
        "shots",
    }


async def test_a_session_is_told_as_a_group_with_intervals_and_angles(database: Database) -> None:
    connection = await database.connect("stats")
    places = [(1_000, 9_000), (4_000, 2_000), (-3_000, 5_000), (7_000, 7_000), (0, -6_000), (-5_000, -1_000)]
    fired = [shot(n, x_um=x, y_um=y, at_s=n) for n, (x, y) in enumerate(places, start=1)]
    sighter = shot(8, x_um=90_000, kind="sighter", at_s=8)
    await Stats(connection).hear(started(1), *fired, shot(7, miss=True, at_s=7), sighter, finished(1))
    await connection.close()
    gateway = await database.connect("gateway")
    found = await groups.statistics(gateway, UUID(int=1), SHOOTER, confidence=0.9)
    wider = await groups.statistics(gateway, UUID(int=1), None, confidence=0.99)
    await gateway.close()
    assert found is not None
    assert wider is not None
    assert (found.shots, found.misses, found.complete, found.distance_m) == (6, 1, True, 10)
    spread = found.extreme_spread
    assert spread.mm is not None
    assert spread.moa is not None
    assert spread.mrad is not None
    assert abs(spread.mm.value - hypot(1, 15)) < 1e-9
    assert abs(spread.mrad.value - hypot(1, 15) / 10) < 1e-4
    assert abs(spread.moa.value / spread.mrad.value - 10.8 / pi) < 1e-9
    assert found.sigma.mm is not None
    assert wider.sigma.mm is not None
    ends = [wider.sigma.mm.low, found.sigma.mm.low, found.sigma.mm.value, found.sigma.mm.high, wider.sigma.mm.high]
    assert ends == sorted(end for end in ends if end is not None)
    assert found.aim.off_aim is False
    assert found.ten is not None
    assert found.ten.as_set.share is not None
    assert 0 < found.ten.as_set.share.value < 1
    assert found.outliers.numbers == []


async def test_what_a_session_is_too_short_to_say_has_a_reason(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    one = await groups.statistics(gateway, UUID(int=2), SHOOTER, confidence=0.95)
    none = await groups.statistics(gateway, UUID(int=3), None, confidence=0.95)
    others = await groups.statistics(gateway, UUID(int=3), SHOOTER, confidence=0.95)
    await gateway.close()
    assert one is not None
    assert (one.shots, one.sigma.mm, one.sigma.absent) == (1, None, "At least 2 shots are needed.")
    assert one.aim.absent == one.ellipse_absent == "At least 3 shots are needed."
    assert none is not None
    assert (none.shots, none.centre_x.absent) == (0, "A shot is needed.")
    assert others is None


async def test_a_change_is_told_with_how_sure_it_is(database: Database) -> None:
    """Three days of eights, then three of tens; a session too short to say anything is left out."""
    connection = await database.connect("stats")
    stats = Stats(connection)
    for day in range(7):
        fired = 10 if day < 6 else 2
        for n in range(fired):
            at_s = day * 86_400 + 60 + n
            x_um = (24_000 if day < 3 else 4_000) + 300 * (n + day)
            await stats.hear(shot(day * 100 + n + 1, x_um=x_um, at_s=at_s))
        await stats.hear(started(day + 1, at_s=day * 86_400), finished(day + 1, at_s=day * 86_400 + 3600))
    await connection.close()
    gateway = await database.connect("gateway")
    found = await progress.progress(gateway, SHOOTER, NOON, NOON + 8 * DAY, "air-pistol-10m", split_at=NOON + 3 * DAY)
    middle = await progress.progress(gateway, SHOOTER, NOON, NOON + 20 * DAY, "air-pistol-10m")
    await gateway.close()
    assert len(found.sessions) == 7
    assert (found.change.sessions_before, found.change.sessions_after) == (3, 3)
    assert found.change.real is True
    assert found.change.difference is not None
    assert 2 < found.change.difference < 3
    assert middle.change.split_at == NOON + 10 * DAY
    assert (middle.change.sessions_after, middle.change.real) == (0, None)
