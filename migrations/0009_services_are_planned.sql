-- Services due by time, planned into time in which a unit can be spared; what each barrel has fired.
SET ROLE firingline_owner;

ALTER TABLE booking.known_weapon_type ADD COLUMN away tstzrange[] NOT NULL DEFAULT '{}';
ALTER TABLE booking.known_weapon_type ALTER COLUMN away DROP DEFAULT;

ALTER TABLE armory.weapon_type
    ADD COLUMN service_after_days integer CHECK (service_after_days > 0),
    ADD COLUMN service_minutes integer NOT NULL DEFAULT 60 CHECK (service_minutes > 0),
    ADD COLUMN away tstzrange[] NOT NULL DEFAULT '{}';
ALTER TABLE armory.weapon_type ALTER COLUMN service_minutes DROP DEFAULT, ALTER COLUMN away DROP DEFAULT;

ALTER TABLE armory.weapon
    ADD COLUMN service_from timestamptz,
    ADD COLUMN service_due_at timestamptz,
    ADD COLUMN overdue boolean NOT NULL DEFAULT false,
    ADD COLUMN planned tstzrange CHECK (
        NOT isempty(planned) AND NOT lower_inf(planned) AND NOT upper_inf(planned)
        AND lower_inc(planned) AND NOT upper_inc(planned)),
    ADD COLUMN planned_work text,
    ADD COLUMN barrel integer NOT NULL DEFAULT 1 CHECK (barrel > 0),
    ADD COLUMN barrel_rounds bigint NOT NULL DEFAULT 0 CHECK (barrel_rounds >= 0),
    ADD CONSTRAINT weapon_planned CHECK (num_nulls(planned, planned_work) IN (0, 2));
UPDATE armory.weapon AS w
SET barrel_rounds = w.rounds_fired,
    service_from = (SELECT max(s.serviced_at) FROM armory.service AS s WHERE s.weapon = w.weapon);
ALTER TABLE armory.weapon
    ALTER COLUMN overdue DROP DEFAULT, ALTER COLUMN barrel DROP DEFAULT, ALTER COLUMN barrel_rounds DROP DEFAULT;

ALTER TABLE armory.service ADD COLUMN barrel integer NOT NULL DEFAULT 1, ADD COLUMN barrel_rounds bigint;
ALTER TABLE armory.service ALTER COLUMN barrel DROP DEFAULT;

CREATE TABLE armory.known_hours (
    range         text    NOT NULL,
    time_zone     text    NOT NULL,
    weekday       integer NOT NULL,
    opens_minute  integer NOT NULL,
    closes_minute integer NOT NULL,
    PRIMARY KEY (range, weekday, opens_minute, closes_minute)
);
-- What was told before armory listened.
INSERT INTO armory.known_hours (range, time_zone, weekday, opens_minute, closes_minute)
SELECT DISTINCT h.range, r.time_zone, h.weekday, h.opens_minute, h.closes_minute
FROM booking.opening_hours AS h JOIN booking.range AS r USING (range);

CREATE OR REPLACE VIEW booking.weapons_taken AS
SELECT b.weapon_type, b.during, false AS out
FROM booking.booking AS b
WHERE b.weapon_type IS NOT NULL AND b.state IN ('held', 'confirmed')
UNION ALL
SELECT b.weapon_type, tstzrange(least(lower(b.during), c.issued_at), upper(b.during)), coalesce(c.out, false)
FROM booking.booking AS b
LEFT JOIN LATERAL (
    SELECT min(c.issued_at) AS issued_at, bool_or(c.returned_at IS NULL) AS out
    FROM booking.known_custody AS c WHERE c.booking = b.booking
) AS c ON true
WHERE b.weapon_type IS NOT NULL AND b.state IN ('checked-in', 'in-use')
UNION ALL
SELECT b.weapon_type, tstzrange(least(lower(b.during), c.issued_at), upper(b.during)), true
FROM booking.known_custody AS c JOIN booking.booking AS b USING (booking)
WHERE c.returned_at IS NULL AND b.weapon_type IS NOT NULL AND b.state NOT IN ('held', 'confirmed', 'checked-in', 'in-use')
UNION ALL
SELECT t.weapon_type, a.during, false
FROM booking.known_weapon_type AS t, unnest(t.away) AS a (during);

CREATE OR REPLACE VIEW armory.weapons AS
    SELECT w.weapon, w.weapon_type, t.weapon_class, t.calibre, t.title, w.serial,
           l.holder AS out_with, l.booking AS out_for, l.issued_by, l.issued_at, l.rounds_issued,
           w.quarantine, w.rounds_fired, w.rounds_since_service, t.service_after_rounds,
           w.overdue OR w.rounds_since_service >= t.service_after_rounds IS TRUE AS service_due,
           t.service_after_days, w.service_due_at, lower(w.planned) AS planned_from, upper(w.planned) AS planned_until,
           w.planned_work, w.barrel, w.barrel_rounds
    FROM armory.weapon AS w
    JOIN armory.weapon_type AS t USING (weapon_type)
    LEFT JOIN armory.loan AS l ON l.weapon = w.weapon AND l.returned_at IS NULL;

CREATE OR REPLACE VIEW armory.reservations_beyond_stock AS
    SELECT r.booking, r.person, r.weapon_type, t.title, lower(r.during) AS starts_at, upper(r.during) AS ends_at,
           t.units, crowd.kept
    FROM armory.reservation AS r
    JOIN armory.weapon_type AS t USING (weapon_type)
    JOIN LATERAL (
        SELECT max((
            SELECT count(*) FROM armory.reservation AS o
            WHERE o.weapon_type = r.weapon_type AND NOT o.released AND o.during @> m.moment
        ) + (SELECT count(*) FROM unnest(t.away) AS a (during) WHERE a.during @> m.moment)) AS kept
        FROM (
            SELECT greatest(lower(i.during), lower(r.during)) AS moment
            FROM armory.reservation AS i
            WHERE i.weapon_type = r.weapon_type AND NOT i.released AND i.during && r.during
            UNION ALL
            SELECT greatest(lower(a.during), lower(r.during))
            FROM unnest(t.away) AS a (during) WHERE a.during && r.during
        ) AS m
    ) AS crowd ON crowd.kept > t.units
    WHERE NOT r.released AND upper(r.during) > now();

CREATE OR REPLACE VIEW armory.services AS
    SELECT s.weapon, s.number, s.work, s.rounds_fired, s.rounds_since_service, s.serviced_by, s.serviced_at, s.barrel,
           s.barrel_rounds
    FROM armory.service AS s;

GRANT SELECT, INSERT, UPDATE, DELETE ON armory.known_hours TO firingline_armory;
