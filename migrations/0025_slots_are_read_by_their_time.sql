-- What slots follow from is found by its time, however much has been.
SET ROLE firingline_owner;

CREATE OR REPLACE VIEW booking.weapons_taken AS
SELECT b.weapon_type, b.during, false AS out, b.taken
FROM booking.booking AS b
WHERE b.weapon_type IS NOT NULL AND b.state IN ('held', 'confirmed')
UNION ALL
SELECT b.weapon_type, o.during, o.out, o.during
FROM booking.booking AS b
LEFT JOIN LATERAL (
    SELECT min(c.issued_at) AS issued_at, bool_or(c.returned_at IS NULL) AS out
    FROM booking.known_custody AS c WHERE c.booking = b.booking
) AS c ON true
CROSS JOIN LATERAL (
    SELECT tstzrange(least(lower(b.during), c.issued_at), upper(b.during)) AS during, coalesce(c.out, false) AS out
) AS o
WHERE b.weapon_type IS NOT NULL AND b.state IN ('checked-in', 'in-use')
UNION ALL
SELECT b.weapon_type, o.during, true, o.during
FROM booking.known_custody AS c JOIN booking.booking AS b USING (booking)
CROSS JOIN LATERAL (
    SELECT tstzrange(least(lower(b.during), c.issued_at), upper(b.during)) AS during
) AS o
WHERE c.returned_at IS NULL AND b.weapon_type IS NOT NULL AND b.state NOT IN ('held', 'confirmed', 'checked-in', 'in-use')
UNION ALL
SELECT t.weapon_type, a.during, false, a.during
FROM booking.known_weapon_type AS t, unnest(t.away) AS a (during);

-- What `GET /v1/slots` needs of lanes, without who has them now.
CREATE VIEW booking.lane_settings AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes, l.calibres FROM booking.lane AS l;

CREATE VIEW booking.shooter_times AS
SELECT s.person, s.during FROM booking.shooter_time AS s;

GRANT SELECT ON booking.lane_settings, booking.shooter_times TO firingline_gateway;

RESET ROLE;
