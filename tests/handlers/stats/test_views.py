from datetime import timedelta
from uuid import UUID

from handlers.stats import views
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
    scored = await views.session(gateway, UUID(int=1), SHOOTER)
    running = await views.session(gateway, UUID(int=2), SHOOTER)
    empty = await views.session(gateway, UUID(int=3), OTHER)
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
    assert await views.session(gateway, UUID(int=1), OTHER) is None
    assert await views.shots(gateway, UUID(int=1), OTHER) is None
    assert [one.session for one in await views.sessions(gateway, OTHER, NOON - DAY, NOON + DAY)] == [UUID(int=3)]
    assert (await views.progress(gateway, OTHER, NOON - DAY, NOON + DAY, "air-pistol-10m")).sessions == []
    await gateway.close()


async def test_staff_sees_every_session(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    assert await views.session(gateway, UUID(int=1), None) is not None
    shots = await views.shots(gateway, UUID(int=1), None)
    await gateway.close()
    assert shots is not None
    assert [one.number for one in shots] == [1, 2, 3, 4, 5, 6]
    assert [one.score_tenths for one in shots] == [107, 105, 102, 100, 97, 0]


async def test_sessions_are_listed_by_period_and_page(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    both = await views.sessions(gateway, SHOOTER, NOON, NOON + DAY)
    first = await views.sessions(gateway, SHOOTER, NOON, NOON + DAY, limit=1)
    rest = await views.sessions(gateway, SHOOTER, NOON, NOON + DAY, after=first[0].session)
    before = await views.sessions(gateway, SHOOTER, NOON, NOON + timedelta(hours=2))
    await gateway.close()
    assert both == [*first, *rest]
    assert [one.session for one in both] == [UUID(int=1), UUID(int=2)]
    assert [one.session for one in before] == [UUID(int=1)]


async def test_progress_tells_each_sessions_mean_and_how_sure_it_is(database: Database) -> None:
    await told(database)
    gateway = await database.connect("gateway")
    progress = await views.progress(gateway, SHOOTER, NOON - DAY, NOON + DAY, "air-pistol-10m")
    await gateway.close()
    first, second = progress.sessions
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
    assert {row["relname"] for row in readable} == {"sessions", "shots"}
