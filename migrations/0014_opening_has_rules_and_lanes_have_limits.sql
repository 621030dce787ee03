-- Opening hours have exceptions, holidays and rules; lanes have limits and closures; a booking takes buffers with it.
SET ROLE firingline_owner;

ALTER TABLE booking.lane
    ADD COLUMN calibres text[] NOT NULL DEFAULT '{}',
    ADD COLUMN most_energy_j integer CHECK (most_energy_j > 0);
ALTER TABLE booking.lane ALTER COLUMN calibres DROP DEFAULT;
-- Times for which a lane is closed. Whoever closes one holds the lane's row, as whoever books it does.
CREATE TABLE booking.closure (
    closure uuid      PRIMARY KEY,
    lane    text      NOT NULL REFERENCES booking.lane,
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))),
    reason  text      NOT NULL
);
CREATE INDEX closure_of_lane ON booking.closure USING gist (lane, during);

ALTER TABLE booking.booking ADD COLUMN calibre text, ADD COLUMN energy_j integer, ADD COLUMN taken tstzrange;
UPDATE booking.booking SET taken = during;
ALTER TABLE booking.booking
    ALTER COLUMN taken SET NOT NULL,
    ADD CONSTRAINT taken_holds_during CHECK (
        taken @> during AND NOT lower_inf(taken) AND NOT upper_inf(taken) AND isfinite(lower(taken))
        AND isfinite(upper(taken)) AND lower_inc(taken) AND NOT upper_inc(taken)),
    DROP CONSTRAINT one_booking_a_lane,
    ADD CONSTRAINT one_booking_a_lane EXCLUDE USING gist (lane WITH =, taken WITH &&, claim WITH <>)
        WHERE (state IN ('held', 'confirmed', 'checked-in', 'in-use'));
-- The calibre of each weapon type, of armory.weapon-type-added.
CREATE TABLE booking.known_calibre (
    weapon_type text PRIMARY KEY,
    calibre     text NOT NULL
);

-- What the armory told before there was a place to keep it.
INSERT INTO booking.known_calibre (weapon_type, calibre)
SELECT DISTINCT ON (o.body ->> 'weapon_type') o.body ->> 'weapon_type', o.body ->> 'calibre'
FROM bus.outbox AS o WHERE o.name = 'armory.weapon-type-added' ORDER BY o.body ->> 'weapon_type', o.position DESC;
GRANT SELECT, INSERT, UPDATE, DELETE ON booking.closure, booking.known_calibre TO firingline_booking;

CREATE OR REPLACE VIEW booking.lanes AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes,
       CASE WHEN present.state IS NULL THEN 'free' WHEN present.state = 'confirmed' THEN 'booked' ELSE present.state END
           AS state,
       CASE WHEN present.state IS NULL THEN next.starts_at ELSE present.ends_at END AS until,
       ceased.ordered_at AS cease_fire_since, l.capacity, l.calibres,
       l.most_energy_j
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
CREATE OR REPLACE VIEW booking.bookings AS
SELECT b.booking, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.during,
       b.weapon_class, b.weapon_type, b.rounds, b.state, b.held_until,
       b.starts_at - make_interval(mins => r.early_check_in_minutes) AS check_in_from, b.no_show_at,
       b.invoice, b.total_minor, b.currency, s.settled_at, b.refused_by, b.rule, b.rule_version, b.reason,
       b.checked_in_at, b.started_at, b.finished_at,
       EXISTS (SELECT FROM booking.known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL) AS weapon_out,
       b.entitlement_lost_at, b.participants, b.replaces, b.replaced_by, b.taken
FROM booking.booking AS b
JOIN booking.range AS r USING (range)
LEFT JOIN booking.known_settlement AS s USING (booking);
CREATE OR REPLACE VIEW booking.weapon_types AS
SELECT t.weapon_type, t.weapon_class, t.title, t.units, c.calibre
FROM booking.known_weapon_type AS t LEFT JOIN booking.known_calibre AS c USING (weapon_type);
CREATE VIEW booking.closures AS
SELECT c.closure, c.lane, c.during, c.reason FROM booking.closure AS c;
GRANT SELECT ON booking.closures TO firingline_gateway;

RESET ROLE;
