-- What people say of shots, against what targets told: a score, and whose they are.
SET ROLE firingline_owner;

ALTER TABLE stats.shot
    ADD COLUMN given_tenths smallint CHECK (given_tenths BETWEEN 0 AND 109),
    ADD COLUMN assigned uuid;
CREATE INDEX shot_unassigned ON stats.shot (received_at) WHERE session IS NULL;

CREATE OR REPLACE VIEW stats.shots AS
    SELECT t.session, s.person, s.discipline, t.device, t.epoch, t.number, t.lane, t.kind, t.miss, t.x_um, t.y_um,
           t.elapsed_ms, t.received_at, t.score_tenths, t.inner_ten,
           EXISTS (
               SELECT FROM stats.cease_fire AS c
               WHERE c.lane = t.lane AND t.received_at >= c.ordered_at
                 AND t.received_at < coalesce(c.resumed_at, 'infinity')) AS during_cease_fire,
           t.device_tenths, t.device_rings, t.invalid,
           t.invalid IS NULL AND NOT t.miss AND t.score_tenths IS NOT NULL
               AND (t.device_tenths <> t.score_tenths OR t.device_rings <> t.score_tenths / 10) IS TRUE AS disagrees,
           t.given_tenths IS NOT NULL OR t.assigned IS NOT NULL AS corrected
    FROM stats.shot AS t LEFT JOIN stats.session AS s USING (session);

RESET ROLE;
