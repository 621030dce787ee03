-- What a session's shots add up to says more, so that a shooter's statistics need no shot; results can be shared.

BEGIN;

SET LOCAL ROLE firingline_owner;

ALTER TABLE stats.tally
    ADD COLUMN scored integer,
    ADD COLUMN rings integer[],
    ADD COLUMN sum_squared_tenths bigint,
    ADD COLUMN sum_xx_um numeric,
    ADD COLUMN sum_xy_um numeric,
    ADD COLUMN sum_yy_um numeric,
    ADD COLUMN sum_s numeric,
    ADD COLUMN sum_ss numeric,
    ADD COLUMN sum_s_tenths numeric;

UPDATE stats.tally AS t
SET scored = n.scored, rings = n.rings, sum_squared_tenths = n.sum_squared_tenths, sum_xx_um = n.sum_xx_um,
    sum_xy_um = n.sum_xy_um, sum_yy_um = n.sum_yy_um, sum_s = n.sum_s, sum_ss = n.sum_ss, sum_s_tenths = n.sum_s_tenths
FROM (
    SELECT y.session,
           count(h.score_tenths) AS scored,
           ARRAY(SELECT count(o.score_tenths) FROM generate_series(0, 10) AS r (ring)
                 LEFT JOIN stats.shot AS o ON o.session = y.session AND o.kind = 'match' AND NOT o.miss
                                              AND o.score_tenths / 10 = r.ring AND o.score_tenths IS NOT NULL
                 GROUP BY r.ring ORDER BY r.ring)::integer[] AS rings,
           coalesce(sum(h.score_tenths::bigint ^ 2), 0)::bigint AS sum_squared_tenths,
           coalesce(sum(h.x_um::numeric * h.x_um), 0) AS sum_xx_um,
           coalesce(sum(h.x_um::numeric * h.y_um), 0) AS sum_xy_um,
           coalesce(sum(h.y_um::numeric * h.y_um), 0) AS sum_yy_um,
           coalesce(sum(m.s) FILTER (WHERE m.score_tenths IS NOT NULL), 0) AS sum_s,
           coalesce(sum(m.s * m.s) FILTER (WHERE m.score_tenths IS NOT NULL), 0) AS sum_ss,
           coalesce(sum(m.s * h.score_tenths), 0) AS sum_s_tenths
    FROM stats.tally AS y
    LEFT JOIN (
        SELECT *, floor(extract(epoch FROM received_at - '2000-01-01T00:00:00Z'::timestamptz)) AS s
        FROM stats.shot WHERE kind = 'match'
    ) AS m USING (session)
    LEFT JOIN stats.shot AS h
        ON (h.device, h.epoch, h.number) = (m.device, m.epoch, m.number) AND NOT h.miss
    GROUP BY y.session
) AS n WHERE n.session = t.session;

ALTER TABLE stats.tally
    ALTER COLUMN scored SET NOT NULL,
    ALTER COLUMN rings SET NOT NULL,
    ALTER COLUMN sum_squared_tenths SET NOT NULL,
    ALTER COLUMN sum_xx_um SET NOT NULL,
    ALTER COLUMN sum_xy_um SET NOT NULL,
    ALTER COLUMN sum_yy_um SET NOT NULL,
    ALTER COLUMN sum_s SET NOT NULL,
    ALTER COLUMN sum_ss SET NOT NULL,
    ALTER COLUMN sum_s_tenths SET NOT NULL;

-- Which club weapon and which lot of cartridges a session was shot with, of armory.weapon-issued; the last one issued.
CREATE TABLE stats.known_equipment (
    session   uuid        PRIMARY KEY,
    weapon    uuid        NOT NULL,
    lot       text,
    issued_at timestamptz NOT NULL
);
-- Of what type each weapon is, of armory.weapon-added.
CREATE TABLE stats.known_weapon (
    weapon      uuid PRIMARY KEY,
    weapon_type text NOT NULL
);
-- Who lets his results be compared with others', of stats.results-shared.
CREATE TABLE stats.sharing (
    person    uuid        PRIMARY KEY,
    shared_at timestamptz NOT NULL
);

-- Each session with what its match shots add up to: what is told of shooters is read from here, and costs the same
-- however many shots there were.
CREATE VIEW stats.session_sums AS
    SELECT s.session, s.person, s.lane, s.discipline, s.started_at, s.finished_at, e.weapon, w.weapon_type, e.lot,
           t.shots, t.sighters, t.misses, t.score_tenths, t.integer_score, t.inner_tens, t.sum_x_um, t.sum_y_um,
           t.scored, t.rings, t.sum_squared_tenths, t.sum_xx_um, t.sum_xy_um, t.sum_yy_um, t.sum_s, t.sum_ss,
           t.sum_s_tenths
    FROM stats.session AS s JOIN stats.tally AS t USING (session)
    LEFT JOIN stats.known_equipment AS e USING (session) LEFT JOIN stats.known_weapon AS w USING (weapon);
CREATE VIEW stats.shared_results AS
    SELECT person, shared_at FROM stats.sharing;

GRANT SELECT, INSERT, UPDATE, DELETE ON stats.known_equipment, stats.known_weapon, stats.sharing TO firingline_stats;
GRANT SELECT ON stats.session_sums, stats.shared_results TO firingline_gateway;

COMMIT;
