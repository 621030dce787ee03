-- Cease fire: which holds on which range, when, and which shots came meanwhile.
SET ROLE firingline_owner;

-- Cease fires; one holds on a range until fire is resumed.
CREATE TABLE booking.cease_fire (
    cease_fire uuid        PRIMARY KEY,
    range      text        NOT NULL REFERENCES booking.range,
    reason     text        NOT NULL,
    ordered_by text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    resumed_by text,
    resumed_at timestamptz,
    CHECK (num_nonnulls(resumed_by, resumed_at) IN (0, 2) AND resumed_at >= ordered_at)
);
CREATE UNIQUE INDEX one_cease_fire_a_range ON booking.cease_fire (range) WHERE resumed_at IS NULL;
CREATE INDEX cease_fire_of_range ON booking.cease_fire (range, ordered_at);

-- Lanes as they are at this moment. A session in use counts until it is finished, however late it is; `until` is
-- when the booking that has the lane ends, or when the next one takes it.
CREATE OR REPLACE VIEW booking.lanes AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes,
       CASE WHEN present.state IS NULL THEN 'free' WHEN present.state = 'confirmed' THEN 'booked' ELSE present.state END
           AS state,
       CASE WHEN present.state IS NULL THEN next.starts_at ELSE present.ends_at END AS until,
       ceased.ordered_at AS cease_fire_since
FROM booking.lane AS l
LEFT JOIN LATERAL (
    SELECT b.state, b.ends_at
    FROM booking.booking AS b
    WHERE b.lane = l.lane AND (
        b.state = 'in-use' OR b.state IN ('held', 'confirmed', 'checked-in') AND b.during @> now())
    ORDER BY b.state = 'in-use' DESC
    LIMIT 1
) AS present ON true
LEFT JOIN LATERAL (
    SELECT min(lower(b.during)) AS starts_at
    FROM booking.booking AS b
    WHERE b.lane = l.lane AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use')
      AND b.during && tstzrange(now(), NULL)
) AS next ON true
LEFT JOIN booking.cease_fire AS ceased ON ceased.range = l.range AND ceased.resumed_at IS NULL;

CREATE VIEW booking.cease_fires AS
SELECT c.cease_fire, c.range, c.reason, c.ordered_by, c.ordered_at, c.resumed_by, c.resumed_at
FROM booking.cease_fire AS c;

GRANT SELECT, INSERT, UPDATE, DELETE ON booking.cease_fire TO firingline_booking;
GRANT SELECT ON booking.cease_fires TO firingline_gateway;

-- Cease fires, by lane, of booking.cease-fire-ordered and booking.fire-resumed: shots during them are marked.
CREATE TABLE stats.cease_fire (
    cease_fire uuid        NOT NULL,
    lane       text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    resumed_at timestamptz,
    PRIMARY KEY (cease_fire, lane)
);
CREATE INDEX cease_fire_of_lane ON stats.cease_fire (lane, ordered_at);

CREATE OR REPLACE VIEW stats.shots AS
    SELECT t.session, s.person, s.discipline, t.device, t.epoch, t.number, t.lane, t.kind, t.miss, t.x_um, t.y_um,
           t.elapsed_ms, t.received_at, t.score_tenths, t.inner_ten,
           EXISTS (
               SELECT FROM stats.cease_fire AS c
               WHERE c.lane = t.lane AND t.received_at >= c.ordered_at
                 AND t.received_at < coalesce(c.resumed_at, 'infinity')) AS during_cease_fire
    FROM stats.shot AS t LEFT JOIN stats.session AS s USING (session);

GRANT SELECT, INSERT, UPDATE, DELETE ON stats.cease_fire TO firingline_stats;

RESET ROLE;
