-- Rules are published as data with a version; ages are attested; who is booked under supervision is counted.
SET ROLE firingline_owner;

ALTER TABLE auth.person ADD COLUMN age integer NOT NULL DEFAULT 0;
ALTER TABLE auth.person ALTER COLUMN age DROP DEFAULT;

ALTER TABLE auth.entitlement ADD COLUMN supervised_at_most integer NOT NULL DEFAULT 0;
ALTER TABLE auth.entitlement ALTER COLUMN supervised_at_most DROP DEFAULT;
ALTER TABLE auth.entitlement DROP CONSTRAINT entitlement_pkey;
ALTER TABLE auth.entitlement ADD CONSTRAINT entitlement_pkey
    PRIMARY KEY (person, weapon_class, supervised_at_most, during WITHOUT OVERLAPS);

CREATE TABLE auth.rule_set (
    code            text        NOT NULL,
    version         integer     NOT NULL,
    body            jsonb       NOT NULL,
    takes_effect_at timestamptz NOT NULL,
    in_force_since  timestamptz,
    PRIMARY KEY (code, version)
);

CREATE TABLE auth.known_booking (
    booking      uuid      PRIMARY KEY,
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL,
    supervised   boolean   NOT NULL
);
CREATE INDEX known_booking_begins ON auth.known_booking (lower(during), booking);
CREATE INDEX known_booking_supervised ON auth.known_booking USING gist (during) WHERE supervised;
INSERT INTO auth.known_booking (booking, person, weapon_class, during, supervised)
SELECT booking, person, weapon_class, tstzrange(starts_at, ends_at), false FROM booking.booking
WHERE state IN ('held', 'confirmed', 'checked-in', 'in-use');

CREATE OR REPLACE VIEW auth.entitlements AS
    SELECT person, weapon_class, lower(during) AS valid_from, upper(during) AS valid_until, rule_set, rule_version,
           expiry_foreseen, supervised_at_most
    FROM auth.entitlement;

CREATE VIEW auth.rule_sets AS
    SELECT code, version, body, takes_effect_at, in_force_since FROM auth.rule_set;

GRANT SELECT ON auth.rule_sets TO firingline_auth, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.rule_set, auth.known_booking TO firingline_auth;

ALTER TABLE booking.known_entitlement ADD COLUMN supervised_at_most integer NOT NULL DEFAULT 0;
ALTER TABLE booking.known_entitlement ALTER COLUMN supervised_at_most DROP DEFAULT;
ALTER TABLE booking.known_entitlement DROP CONSTRAINT known_entitlement_pkey;
ALTER TABLE booking.known_entitlement ADD CONSTRAINT known_entitlement_pkey
    PRIMARY KEY (person, weapon_class, supervised_at_most, during);

ALTER TABLE booking.known_agreement ADD COLUMN supervised boolean NOT NULL DEFAULT false;
ALTER TABLE booking.known_agreement ALTER COLUMN supervised DROP DEFAULT;

CREATE OR REPLACE VIEW booking.entitlements AS
SELECT e.person, e.weapon_class, e.during, e.expiry_foreseen, e.supervised_at_most FROM booking.known_entitlement AS e;

CREATE VIEW booking.supervised AS
SELECT tstzrange(b.starts_at, b.ends_at) AS during
FROM booking.booking AS b JOIN booking.known_agreement AS a USING (booking)
WHERE a.supervised AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use');
GRANT SELECT ON booking.supervised TO firingline_gateway;

RESET ROLE;
