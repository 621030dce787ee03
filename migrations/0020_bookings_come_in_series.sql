-- Bookings come in series: the same time of several weeks, on one lane or on several.
SET ROLE firingline_owner;

ALTER TABLE booking.booking ADD COLUMN series uuid;
CREATE INDEX booking_of_series ON booking.booking (series) WHERE series IS NOT NULL;

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
        b.state = 'in-use' OR b.state IN ('held', 'confirmed', 'checked-in') AND b.taken @> now() AND b.during @> now())
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
       b.entitlement_lost_at, b.participants, b.replaces, b.replaced_by, b.taken,
       b.series
FROM booking.booking AS b
JOIN booking.range AS r USING (range)
LEFT JOIN booking.known_settlement AS s USING (booking);

RESET ROLE;
