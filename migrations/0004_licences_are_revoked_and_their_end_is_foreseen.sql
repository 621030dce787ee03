-- Licences can be revoked for good, and say why they do not count; the end of an entitlement is foreseen; bookings that
-- depended on one are called off, or flagged for staff.

SET ROLE firingline_owner;

ALTER TABLE auth.licence ADD COLUMN reason text;
ALTER TABLE auth.licence DROP CONSTRAINT licence_state_check;
ALTER TABLE auth.licence ADD CONSTRAINT licence_state_check
    CHECK (state IN ('recorded', 'confirmed', 'suspended', 'revoked'));

ALTER TABLE auth.entitlement ADD COLUMN expiry_foreseen boolean NOT NULL DEFAULT false;
ALTER TABLE auth.entitlement ALTER COLUMN expiry_foreseen DROP DEFAULT;

CREATE OR REPLACE VIEW auth.licences AS
    SELECT licence, person, category, valid_from, valid_until, state, reason FROM auth.licence;

CREATE OR REPLACE VIEW auth.entitlements AS
    SELECT person, weapon_class, lower(during) AS valid_from, upper(during) AS valid_until, rule_set, rule_version,
           expiry_foreseen
    FROM auth.entitlement;

-- What was published before is foreseen from now on, too.
INSERT INTO bus.scheduled (service, key, due_at, name, schema, stream, body, correlation, actor)
SELECT 'auth', 'expiry:' || person, min(upper(during)) - interval '30 days', 'auth.foresee-expiry', 1,
       'person:' || person, jsonb_build_object('person', person), gen_random_uuid(), 'service:auth'
FROM auth.entitlement WHERE upper(during) > clock_timestamp()
GROUP BY person;

ALTER TABLE booking.booking ADD COLUMN entitlement_lost_at timestamptz;
ALTER TABLE booking.booking DROP CONSTRAINT rejected_has_a_reason;
ALTER TABLE booking.booking ADD CONSTRAINT rejected_has_a_reason CHECK (
    num_nonnulls(refused_by, rule, rule_version, reason) = CASE
        WHEN state = 'rejected' THEN 4
        WHEN state = 'cancelled' AND rule IS NOT NULL THEN 4
        ELSE 0 END);

ALTER TABLE booking.known_entitlement ADD COLUMN expiry_foreseen boolean NOT NULL DEFAULT false;
ALTER TABLE booking.known_entitlement ALTER COLUMN expiry_foreseen DROP DEFAULT;

CREATE OR REPLACE VIEW booking.bookings AS
SELECT b.booking, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.during,
       b.weapon_class, b.weapon_type, b.rounds, b.state, b.held_until,
       b.starts_at - make_interval(mins => r.early_check_in_minutes) AS check_in_from, b.no_show_at,
       b.invoice, b.total_minor, b.currency, s.settled_at, b.refused_by, b.rule, b.rule_version, b.reason,
       b.checked_in_at, b.started_at, b.finished_at,
       EXISTS (SELECT FROM booking.known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL) AS weapon_out,
       b.entitlement_lost_at
FROM booking.booking AS b
JOIN booking.range AS r USING (range)
LEFT JOIN booking.known_settlement AS s USING (booking);

CREATE OR REPLACE VIEW booking.entitlements AS
SELECT e.person, e.weapon_class, e.during, e.expiry_foreseen FROM booking.known_entitlement AS e;

RESET ROLE;
