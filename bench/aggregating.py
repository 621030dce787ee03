"""How fast shots are given to their sessions, scored and added up, and how soon a shooter is told what they come to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Final
from uuid import UUID

from bench.child import Child, child
from bench.consume import BEGAN_AT, LOADERS, load_shots
from bench.figures import Measured, Size, Tell, in_turns, percentile
from bench.ground import connected, database
from bus.connection import Connection
from handlers.stats.views.shooters import shooter
from ops.settings import Settings

SHOOTER: Final = UUID(int=7)
SHOTS: Final = 100_000
A_SESSION: Final = 50
ASKED: Final = 20  # times in each stretch
SEASON: Final = datetime(2026, 1, 1, tzinfo=UTC)
DISCIPLINE: Final = "air-pistol-10m"
PLAIN_SHOTS: Final = """
CREATE SCHEMA plain;
CREATE TABLE plain.shot (LIKE stats.shot INCLUDING ALL);
GRANT USAGE ON SCHEMA plain TO firingline_stats;
GRANT SELECT, INSERT ON plain.shot TO firingline_stats;
"""


async def aggregate(server: Settings, size: Size, tell: Tell) -> Measured:
    """Shots of four long sessions through stats: attributed, scored, kept, added up and told, exactly once."""
    tell("making a database", 0, 1)
    async with database(server, "aggregate") as log, child("bench.consuming", log) as process:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_SHOTS)
            await admin.executemany(
                "INSERT INTO stats.session (session, person, lane, discipline, started_at) VALUES ($1, $2, $3, $4, $5)",
                [(UUID(int=n + 1), SHOOTER, f"lane-{n}", DISCIPLINE, BEGAN_AT) for n in range(LOADERS)],
            )
        await load_shots(log, size.events, tell)
        ours, baseline = await in_turns(
            size.rounds,
            partial(_rate, log, process, "stats", size.events),
            partial(_rate, log, process, "insert", size.events),
            tell,
        )
        return Measured(ours, baseline, {"events": size.events, "sessions": LOADERS})


async def _rate(log: Settings, process: Child, side: str, events: int, number: int) -> float:
    async with connected(log.admin_url) as admin:
        await admin.execute("TRUNCATE stats.shot, stats.tally, stats.result, stats.lane, plain.shot")
    process.ask(side=side, round=number, events=events)
    answer = await process.answer()
    if side == "stats":
        await _must_be_added_up(log, events)
    return events / float(answer["seconds"])


async def _must_be_added_up(log: Settings, events: int) -> None:
    """What was measured must have been done."""
    async with connected(log.admin_url) as admin:
        assert await admin.fetchval("SELECT sum(shots) FROM stats.tally") == events


async def shooter_statistics(server: Settings, size: Size, tell: Tell) -> Measured:
    """What a hundred thousand shots of a shooter come to, from the sums, beside adding up the shots themselves."""
    tell("making a database", 0, 1)
    async with database(server, "shooter") as log:
        async with connected(log.admin_url) as admin:
            await _fill(admin, min(SHOTS, size.events) // A_SESSION)
        async with connected(log.dsn("gateway")) as gateway:
            ours, baseline = await in_turns(
                size.rounds, partial(_asked, gateway, _from_sums), partial(_asked, gateway, _from_shots), tell
            )
    return Measured(
        [median(one) for one in ours],
        [median(one) for one in baseline],
        {
            "shots": min(SHOTS, size.events) // A_SESSION * A_SESSION,
            "p99": round(percentile([one for each in ours for one in each], 99), 3),
        },
    )


async def _asked(gateway: Connection, question: object, _number: int) -> list[float]:
    assert callable(question)
    taken = []
    for _ in range(ASKED):
        began_s = time.perf_counter()
        await question(gateway)
        taken.append((time.perf_counter() - began_s) * 1000)
    return taken


async def _from_sums(gateway: Connection) -> None:
    until = SEASON + timedelta(days=366)
    (await shooter(gateway, SHOOTER, SEASON, until, discipline=DISCIPLINE, by="lane", zone="UTC")).model_dump_json()


async def _from_shots(gateway: Connection) -> None:
    """Mean, deviation and scatter within sessions by lane, and not more: without rings, intervals and the rest."""
    await gateway.fetch(
        """
        WITH one AS (
            SELECT s.lane, s.session, count(*) AS shots, avg(t.score_tenths) AS mean,
                   var_samp(t.score_tenths) AS variance, var_samp(t.x_um) + var_samp(t.y_um) AS scatter
            FROM stats.sessions AS s JOIN stats.shots AS t USING (session)
            WHERE s.person = $1 AND s.started_at >= $2 AND t.kind = 'match' AND NOT t.miss GROUP BY 1, 2
        )
        SELECT lane, sum(shots), avg(mean), stddev_samp(mean), avg(variance), avg(scatter) FROM one GROUP BY lane
        """,
        SHOOTER,
        SEASON,
    )


async def _fill(admin: Connection, sessions: int) -> None:
    await admin.execute(
        """
        INSERT INTO stats.session (session, person, lane, discipline, started_at, finished_at)
        SELECT md5(n::text)::uuid, $1, 'lane-' || n % 8, $2, $3::timestamptz + make_interval(hours => n * 4),
               $3::timestamptz + make_interval(hours => n * 4 + 1)
        FROM generate_series(1, $4::integer) AS n
        """,
        SHOOTER,
        DISCIPLINE,
        SEASON,
        sessions,
    )
    await admin.execute(
        """
        INSERT INTO stats.shot (device, epoch, number, lane, kind, miss, x_um, y_um, received_at, session,
                                score_tenths, inner_ten)
        SELECT 'target-' || s.lane, s.session::text, n, s.lane, 'match', false, n * 7919 % 30000 - 15000,
               n * 6101 % 30000 - 15000, s.started_at + make_interval(secs => n * 40), s.session, 80 + n * 17 % 30,
               n % 9 = 0
        FROM stats.session AS s CROSS JOIN generate_series(1, $1::integer) AS n
        """,
        A_SESSION,
    )
    await admin.execute(
        """
        INSERT INTO stats.tally (session, shots, sighters, misses, score_tenths, integer_score, inner_tens, sum_x_um,
                                 sum_y_um, hull_x_um, hull_y_um, scored, rings, sum_squared_tenths, sum_xx_um,
                                 sum_xy_um, sum_yy_um, sum_s, sum_ss, sum_s_tenths)
        SELECT session, count(*), 0, 0, sum(score_tenths), sum(score_tenths / 10),
               count(*) FILTER (WHERE inner_ten), sum(x_um), sum(y_um), '{}', '{}', count(*),
               ARRAY[0, 0, 0, 0, 0, 0, 0, 0, count(*) FILTER (WHERE score_tenths / 10 = 8),
                     count(*) FILTER (WHERE score_tenths / 10 = 9), count(*) FILTER (WHERE score_tenths / 10 = 10)],
               sum(score_tenths::bigint * score_tenths), sum(x_um::numeric * x_um), sum(x_um::numeric * y_um),
               sum(y_um::numeric * y_um), 0, 0, 0
        FROM stats.shot GROUP BY session
        """
    )
    await admin.execute("VACUUM (ANALYZE) stats.session, stats.shot, stats.tally")
