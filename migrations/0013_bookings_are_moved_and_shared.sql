-- A booking can be moved, shared and transferred; cancelling late and overtime are charged.
SET ROLE firingline_owner;

ALTER TABLE booking.range ADD COLUMN policy jsonb NOT NULL DEFAULT '{}';
ALTER TABLE booking.range ALTER COLUMN policy DROP DEFAULT;
ALTER TABLE booking.lane ADD COLUMN capacity integer NOT NULL DEFAULT 1 CHECK (capacity > 0);
ALTER TABLE booking.lane ALTER COLUMN capacity DROP DEFAULT;

ALTER TABLE booking.booking
    ADD COLUMN claim uuid,
    ADD COLUMN replaces uuid REFERENCES booking.booking,
    ADD COLUMN replaced_by uuid,
    ADD COLUMN participants uuid[] NOT NULL DEFAULT '{}';
UPDATE booking.booking SET claim = booking;
ALTER TABLE booking.booking
    ALTER COLUMN claim SET NOT NULL,
    ALTER COLUMN participants DROP DEFAULT,
    DROP CONSTRAINT one_booking_a_lane,
    DROP CONSTRAINT one_booking_a_shooter,
    ADD CONSTRAINT one_booking_a_lane EXCLUDE USING gist (lane WITH =, during WITH &&, claim WITH <>)
        WHERE (state IN ('held', 'confirmed', 'checked-in', 'in-use'));
CREATE UNIQUE INDEX one_replacement_at_a_time ON booking.booking (replaces) WHERE state = 'held';

-- When everybody is taken who shoots in an active booking: its shooter and the participants.
CREATE TABLE booking.shooter_time (
    booking uuid      NOT NULL REFERENCES booking.booking,
    person  uuid      NOT NULL,
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))),
    claim   uuid      NOT NULL,
    PRIMARY KEY (booking, person),
    CONSTRAINT one_booking_a_shooter EXCLUDE USING gist (person WITH =, during WITH &&, claim WITH <>)
);
INSERT INTO booking.shooter_time (booking, person, during, claim)
SELECT booking, person, during, claim FROM booking.booking WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use');
GRANT SELECT, INSERT, UPDATE, DELETE ON booking.shooter_time TO firingline_booking;

CREATE OR REPLACE VIEW booking.ranges AS
SELECT r.range, r.title, r.time_zone, r.slot_minutes, r.hold_seconds, r.early_check_in_minutes, r.no_show_minutes,
       coalesce((
           SELECT json_agg(json_build_object('weekday', h.weekday, 'opens_minute', h.opens_minute,
                                             'closes_minute', h.closes_minute) ORDER BY h.weekday, h.opens_minute)
           FROM booking.opening_hours AS h WHERE h.range = r.range), '[]') AS opening_hours,
       r.policy
FROM booking.range AS r;

CREATE OR REPLACE VIEW booking.lanes AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes,
       CASE WHEN present.state IS NULL THEN 'free' WHEN present.state = 'confirmed' THEN 'booked' ELSE present.state END
           AS state,
       CASE WHEN present.state IS NULL THEN next.starts_at ELSE present.ends_at END AS until,
       ceased.ordered_at AS cease_fire_since, l.capacity
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
       b.entitlement_lost_at, b.participants, b.replaces, b.replaced_by
FROM booking.booking AS b
JOIN booking.range AS r USING (range)
LEFT JOIN booking.known_settlement AS s USING (booking);

ALTER TABLE payment.invoice
    ADD COLUMN purpose text NOT NULL DEFAULT 'booking'
        CHECK (purpose IN ('booking', 'cancellation-fee', 'overtime')),
    DROP CONSTRAINT invoice_booking_key,
    ADD UNIQUE (booking, purpose);
ALTER TABLE payment.invoice ALTER COLUMN purpose DROP DEFAULT;

CREATE OR REPLACE VIEW payment.invoices AS
    SELECT i.invoice, i.booking, i.person, i.number, i.currency, i.net_minor, i.tax_minor, i.total_minor,
           i.price_list_version, i.issued_at,
           CASE WHEN b.credited THEN 'credited' WHEN b.settled_at IS NOT NULL THEN 'settled' ELSE 'open' END AS state,
           b.paid_minor, CASE WHEN b.credited THEN 0 ELSE b.total_minor - b.paid_minor END AS open_minor,
           b.refund_due_minor - b.refunded_minor AS refund_due_minor, b.refunded_minor, b.settled_at,
           c.number AS credit_note, c.credited_at, i.purpose
    FROM payment.invoice AS i
    JOIN payment.balance AS b USING (invoice)
    LEFT JOIN payment.credit_note AS c USING (invoice);

RESET ROLE;
