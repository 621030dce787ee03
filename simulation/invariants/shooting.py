"""24 and 25: every shot counts once, and results are what the shots add up to."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from bus.connection import Connection
from simulation.invariants.evidence import Evidence


async def shots_twice(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Shots of one device, epoch and number that are in the log more than once."""
    return await connection.fetch(
        """
        SELECT o.body ->> 'device' AS device, o.body ->> 'epoch' AS epoch, o.body ->> 'number' AS number, count(*)
        FROM bus.outbox AS o
        WHERE o.topic = 'telemetry' AND o.name = 'tracking.shot-recorded'
        GROUP BY 1, 2, 3 HAVING count(*) > 1
        LIMIT 20
        """
    )


async def shots_sent_and_stored_apart(connection: Connection, evidence: Evidence) -> Sequence[Record]:
    """What the targets fired and the log lacks, or has once too often, or has and nobody fired."""
    shots = evidence.shots
    return await connection.fetch(
        """
        WITH sent AS (
            SELECT s.lane, s.number, s.miss, s.x_um, s.y_um, s.kind, count(*) AS times
            FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::integer[], $5::integer[], $6::text[])
                 AS s (lane, number, miss, x_um, y_um, kind)
            GROUP BY 1, 2, 3, 4, 5, 6
        ), stored AS (
            SELECT s.lane, s.number, s.miss, s.x_um, s.y_um, s.kind, count(*) AS times
            FROM bus.outbox AS o CROSS JOIN LATERAL jsonb_to_record(o.body)
                 AS s (lane text, number bigint, miss boolean, x_um integer, y_um integer, kind text)
            WHERE o.topic = 'telemetry' AND o.name = 'tracking.shot-recorded'
            GROUP BY 1, 2, 3, 4, 5, 6
        )
        SELECT *, a.times AS sent, b.times AS stored
        FROM sent AS a FULL JOIN stored AS b USING (lane, number, miss, x_um, y_um, kind)
        WHERE a.times IS DISTINCT FROM b.times
        LIMIT 20
        """,
        [shot.lane for shot in shots],
        [shot.number for shot in shots],
        [shot.miss for shot in shots],
        [shot.x_um for shot in shots],
        [shot.y_um for shot in shots],
        [shot.kind for shot in shots],
    )


async def shots_logged_and_kept_apart(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Shots of the log that stats has otherwise, or not, or for itself."""
    return await connection.fetch(
        """
        WITH logged AS (
            SELECT s.*
            FROM bus.outbox AS o CROSS JOIN LATERAL jsonb_to_record(o.body) AS s (
                device text, epoch text, number bigint, lane text, kind text, miss boolean, x_um integer, y_um integer,
                elapsed_ms bigint, received_at timestamptz, face text)
            WHERE o.topic = 'telemetry' AND o.name = 'tracking.shot-recorded'
        ), kept AS (
            SELECT device, epoch, number, lane, kind, miss, x_um, y_um, elapsed_ms, received_at, face FROM stats.shot
        )
        (SELECT 'only in the log' AS what, l.* FROM (TABLE logged EXCEPT ALL TABLE kept) AS l)
        UNION ALL
        (SELECT 'only in stats', k.* FROM (TABLE kept EXCEPT ALL TABLE logged) AS k)
        LIMIT 20
        """
    )


async def results_that_do_not_add_up(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Results that are not what one gets from the log's sessions and shots by the rule book's measures.

    A shot belongs to the session of its lane that contains it, the later one of two. It has the best score s whose
    limit it reaches: for tenths of a ring, (ring 10 + gauge) / 2 · (110 - s) / 10 within the ten, and from there on a
    tenth of a ring's width each; in twentieths of a micrometre all of that is whole.
    """
    return await connection.fetch(
        """
        WITH face (discipline, ring10, step, gauge, inner_um) AS (
            VALUES ('air-pistol-10m', 11500, 16000, 4500, 4750), ('rifle-50m', 10400, 16000, 5600, 5300)
        ), session AS (
            SELECT (o.body ->> 'booking')::uuid AS session, o.body ->> 'lane' AS lane, f.*,
                   (o.body ->> 'started_at')::timestamptz AS started_at, (
                       SELECT (c.body ->> 'finished_at')::timestamptz FROM bus.outbox AS c
                       WHERE c.topic = 'domain' AND c.stream = o.stream AND c.name = 'booking.session-finished')
                       AS finished_at
            FROM bus.outbox AS o JOIN face AS f ON f.discipline = o.body ->> 'discipline'
            WHERE o.topic = 'domain' AND o.name = 'booking.session-started'
        ), shot AS (
            SELECT (o.body ->> 'x_um')::bigint AS x, (o.body ->> 'y_um')::bigint AS y, o.body ->> 'kind' AS kind,
                   (o.body ->> 'miss')::boolean AS miss, w.*
            FROM bus.outbox AS o CROSS JOIN LATERAL (
                SELECT s.* FROM session AS s
                WHERE s.lane = o.body ->> 'lane' AND s.started_at <= (o.body ->> 'received_at')::timestamptz
                  AND ((o.body ->> 'received_at')::timestamptz < s.finished_at OR s.finished_at IS NULL)
                ORDER BY s.started_at DESC, s.session DESC LIMIT 1) AS w
            WHERE o.topic = 'telemetry' AND o.name = 'tracking.shot-recorded'
        ), hit AS (
            SELECT h.session, h.x, h.y, h.x * h.x + h.y * h.y <= h.inner_um::bigint ^ 2 AS inner_ten, (
                       SELECT coalesce(max(t.s), 0) FROM generate_series(10, 109) AS t (s)
                       WHERE 400 * (h.x * h.x + h.y * h.y) <= (CASE
                           WHEN t.s >= 100 THEN (h.ring10 + h.gauge) * (110 - t.s)
                           ELSE (h.ring10 + h.gauge) * 10 + h.step * (100 - t.s) END)::numeric ^ 2) AS tenths
            FROM shot AS h WHERE h.kind = 'match' AND NOT h.miss
        ), centre AS (
            SELECT h.session, avg(h.x)::float8 AS x, avg(h.y)::float8 AS y FROM hit AS h GROUP BY h.session
        ), grouped AS (
            SELECT h.session, count(*) AS shots, sum(h.tenths) AS score_tenths, sum(h.tenths / 10) AS integer_score,
                   count(*) FILTER (WHERE h.inner_ten) AS inner_tens, min(c.x) AS centre_x_um, min(c.y) AS centre_y_um,
                   avg(sqrt((h.x - c.x) ^ 2 + (h.y - c.y) ^ 2)) AS mean_radius_um
            FROM hit AS h JOIN centre AS c USING (session) GROUP BY h.session
        ), spread AS (
            SELECT a.session, max(sqrt((a.x - b.x) ^ 2 + (a.y - b.y) ^ 2)) AS um
            FROM hit AS a JOIN hit AS b USING (session) GROUP BY a.session
        ), counted AS (
            SELECT t.session, count(*) FILTER (WHERE t.kind = 'sighter') AS sighters,
                   count(*) FILTER (WHERE t.kind = 'match' AND t.miss) AS misses
            FROM shot AS t GROUP BY t.session
        )
        SELECT s.session, r.final, r.shots, g.shots AS shots_folded, r.score_tenths, g.score_tenths AS score_folded,
               r.inner_tens, g.inner_tens AS inner_folded, r.sighters, c.sighters AS sighters_folded, r.misses,
               c.misses AS misses_folded, r.mean_radius_um, g.mean_radius_um AS radius_folded, r.extreme_spread_um,
               p.um AS spread_folded
        FROM session AS s
        LEFT JOIN grouped AS g USING (session)
        LEFT JOIN counted AS c USING (session)
        LEFT JOIN spread AS p USING (session)
        LEFT JOIN stats.result AS r USING (session)
        WHERE s.finished_at IS NOT NULL AND (
            r.final IS NOT TRUE
            OR (r.shots, r.score_tenths, r.integer_score, r.inner_tens, r.sighters, r.misses)
               IS DISTINCT FROM (coalesce(g.shots, 0), coalesce(g.score_tenths, 0), coalesce(g.integer_score, 0),
                                 coalesce(g.inner_tens, 0), coalesce(c.sighters, 0), coalesce(c.misses, 0))
            OR abs(coalesce(r.mean_score, -1) - coalesce(
                   g.score_tenths / 10.0 / (g.shots + c.misses), CASE WHEN c.misses > 0 THEN 0 ELSE -1 END)) > 1e-9
            OR abs(coalesce(r.centre_x_um, -1e9) - coalesce(g.centre_x_um, -1e9)) > 1e-6
            OR abs(coalesce(r.centre_y_um, -1e9) - coalesce(g.centre_y_um, -1e9)) > 1e-6
            OR abs(coalesce(r.mean_radius_um, -1) - coalesce(g.mean_radius_um, -1)) > 1e-6
            OR g.shots > 1 AND abs(coalesce(r.extreme_spread_um, -1) - p.um) > 1e-6)
        LIMIT 20
        """
    )


async def numbers_that_are_none(connection: Connection, _: Evidence) -> Sequence[Record]:
    """NaN or infinity among the results."""
    return await connection.fetch(
        """
        SELECT r.session, n.name, n.number
        FROM stats.result AS r CROSS JOIN LATERAL (VALUES
            ('mean_score', r.mean_score), ('centre_x_um', r.centre_x_um), ('centre_y_um', r.centre_y_um),
            ('mean_radius_um', r.mean_radius_um), ('extreme_spread_um', r.extreme_spread_um)) AS n (name, number)
        WHERE n.number IN ('NaN', 'Infinity', '-Infinity')
        LIMIT 20
        """
    )
